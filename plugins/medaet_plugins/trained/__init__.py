"""Model folders that `medaet train` wrote, as analyses."""

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from medaet import AnalysisRuntime, Findings, Volume, hookimpl
from medaet.dicom.codes import Code
from medaet.errors import PluginError
from medaet.plugin.kind import Answers, ModelKind
from medaet.plugin.model import Model, Origin, Output
from medaet.plugin.model_analysis import ModelAnalysis
from medaet.plugin.proposal import propose
from medaet.plugin.selector import SeriesSelector

MANIFEST, WEIGHTS, CARD, REFERENCE = (
    "training.json",
    "models/model.safetensors",
    "docs/README.md",
    "reference",
)


class TrainedAnalysis(ModelAnalysis):
    """Runs a network that was trained here."""

    def load(self, runtime: AnalysisRuntime) -> None:
        """Compare the files with the manifest, and read the network onto the device."""
        from medaet.compute.trained.model import TrainedModel

        folder = self.checked()
        self.trained: Any = TrainedModel.read(folder / MANIFEST, folder / WEIGHTS, runtime.device)

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Segment the series."""
        (volume,) = self.volumes(inputs)
        return self.from_labels(self.trained.segment(volume, runtime))


class Trained(ModelKind):
    """What `medaet train` writes: training.json and models/model.safetensors."""

    name = "trained"
    title = "model folder of medaet train"
    analysis: ClassVar[type[ModelAnalysis]] = TrainedAnalysis
    before: ClassVar[tuple[str, ...]] = ("monai-bundle",)  # the folder is a bundle, too

    @classmethod
    def recognises(cls, source: Path) -> bool:
        """Whether both files are there."""
        return _folder(source) is not None

    @classmethod
    def describe(cls, source: Path, answers: Answers) -> Model:
        """Read the manifest from training.json."""
        content = _read(source)
        try:
            plan, structures = content["plan"], content["structures"]
            modality = tuple(content.get("modality") or [plan["modality"]])
            selector = SeriesSelector(
                modality=answers.modality or (modality[0] if len(modality) == 1 else modality),
                body_part=answers.body_part or tuple(content.get("body_part") or ()),
                min_slices=answers.min_slices,
            )
            return Model(
                kind=cls.name,
                name=answers.name or str(content["name"]),
                version=str(content["version"]),
                title=str(content.get("title") or content["name"]),
                intended_use=str(content.get("intended_use", ""))[:500],
                inputs={"image": selector},
                outputs=tuple(
                    _output(number, one, answers) for number, one in enumerate(structures, start=1)
                ),
                origin=Origin(
                    source=str(source), imported_at=datetime.now(UTC), trusted=answers.trust
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PluginError(f"{MANIFEST} does not say {error}") from error

    @classmethod
    def pack(cls, source: Path, folder: Path, model: Model) -> None:
        """Copy plan, weights, model card and reference scans."""
        from medaet.compute.trained.model import TrainedModel

        del model
        found = _folder(source)
        assert found is not None
        for name in (MANIFEST, WEIGHTS, CARD):
            if (found / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(found / name, folder / name)
        if (found / REFERENCE).is_dir():
            shutil.copytree(found / REFERENCE, folder / REFERENCE)
        TrainedModel.read(folder / MANIFEST, folder / WEIGHTS, "cpu")  # or the import ends here


def _folder(source: Path) -> Path | None:
    """Return the folder with both files, which may lie in the only folder of a zip or in a run's `model`."""
    candidates = [source, *sorted(one for one in source.glob("*") if one.is_dir())]
    found = [
        one for one in candidates if all((one / name).is_file() for name in (MANIFEST, WEIGHTS))
    ]
    return found[0] if len(found) == 1 else None


def _read(source: Path) -> dict[str, Any]:
    found = _folder(source)
    assert found is not None
    try:
        content = json.loads((found / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PluginError(f"{MANIFEST} cannot be read ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise PluginError(f"{MANIFEST} is not an object")
    return content


def _output(number: int, structure: Mapping[str, Any], answers: Answers) -> Output:
    label = str(structure["name"])
    proposal = propose(label)
    trained = Code(**structure["code"]) if structure.get("code") else None
    side = Code(**structure["modifier"]) if structure.get("modifier") else None
    return Output(
        label=label,
        values=(number,),
        code=answers.codes.get(label, trained or proposal.code),
        category=proposal.category,
        modifier=side or (None if trained else proposal.modifier),
    )


@hookimpl
def medaet_model_kinds() -> Sequence[type[ModelKind]]:
    """Offer the kind of this plugin."""
    return [Trained]
