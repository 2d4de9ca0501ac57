"""TorchScript and ONNX files as analyses: the file, and a small TOML that says what it was trained on."""

import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from medaet import AnalysisRuntime, Code, Findings, Volume, hookimpl
from medaet.errors import PluginError
from medaet.plugin.kind import Answers, ModelKind, missing
from medaet.plugin.model import Model, Origin, Output
from medaet.plugin.model_analysis import ModelAnalysis
from medaet.plugin.proposal import propose
from medaet.plugin.selector import SeriesSelector
from medaet_plugins.network_file.description import (
    ONNX,
    TASKS,
    TORCHSCRIPT,
    UNITS,
    Description,
    network_file,
    read_description,
)

FEWEST_SLICES = 10


class NetworkFileAnalysis(ModelAnalysis):
    """Runs a packed network file."""

    def load(self, runtime: AnalysisRuntime) -> None:
        """Compare the files with the manifest, and read the network."""
        from medaet_plugins.network_file.heads import HeadPredictor
        from medaet_plugins.network_file.inference import Predictor

        kind = Predictor if self.model.task == "segmentation" else HeadPredictor
        self.predictor: Any = kind(self.checked(), self.model, runtime)

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Show the network the series, the second and later ones on the grid of the first."""
        from medaet.plugin.axes import on_one_grid

        volumes = on_one_grid(self.volumes(inputs))
        shown = self.predictor.shown
        if self.model.task == "detection":
            return self.from_candidates(self.predictor.boxes(volumes, runtime))
        if self.model.task == "regression":
            return self.from_numbers(self.predictor.numbers(volumes, runtime))
        if self.model.task == "classification":
            return self.from_probabilities(
                self.predictor.probabilities(volumes, runtime),
                threshold=shown.threshold,
                exclusive=shown.activation == "softmax",
            )
        found = self.predictor.predict(volumes, runtime)
        return self.from_channels(found != 0) if self.model.overlapping else self.from_labels(found)


class _NetworkFile(ModelKind):
    analysis: ClassVar[type[ModelAnalysis]] = NetworkFileAnalysis
    suffixes: ClassVar[tuple[str, ...]]

    @classmethod
    def recognises(cls, source: Path) -> bool:
        """Whether there is one such file."""
        return network_file(source, cls.suffixes) is not None

    @classmethod
    def describe(cls, source: Path, answers: Answers) -> Model:
        """Read the manifest from the TOML."""
        network = cls._network(source)
        said = read_description(network)
        overlapping = said.activation == "sigmoid" and said.head == "segmentation"
        return Model(
            kind=cls.name,
            name=answers.name or said.name or _plain_name(network.stem),
            version=said.version,
            title=said.title or network.stem,
            intended_use=said.intended_use[:500],
            memory_mb=said.memory_mb,
            inputs=_inputs(said, answers),
            task=TASKS[said.head],
            outputs=tuple(_output(label, one, said, answers) for label, one in said.values.items()),
            overlapping=overlapping,
            orientation=answers.orientation
            if answers.orientation is not None
            else said.orientation,
            options=said.shown(),
            origin=Origin(source=str(source), imported_at=datetime.now(UTC), trusted=answers.trust),
        )

    @classmethod
    def _network(cls, source: Path) -> Path:
        network = network_file(source, cls.suffixes)
        if network is None:
            raise PluginError(
                f"{source.name} holds no file {' or '.join(cls.suffixes)}, or several"
            )
        return network


class TorchScript(_NetworkFile):
    """A network that torch.jit.save wrote, and a TOML of the same name."""

    name = "torchscript"
    title = "TorchScript file (.ts, .pt) with a TOML of the same name beside it"
    suffixes = TORCHSCRIPT

    @classmethod
    def pack(cls, source: Path, folder: Path, model: Model) -> None:
        """Copy the file, after its code was looked at and tried."""
        from medaet_plugins.network_file.inference import NAMES, check_script, try_out

        network = cls._network(source)
        check_script(network, trusted=model.origin.trusted)
        shutil.copyfile(network, folder / NAMES[cls.name])
        try_out(folder / NAMES[cls.name], model)


class Onnx(_NetworkFile):
    """An ONNX file, and a TOML of the same name."""

    name = "onnx"
    title = "ONNX file with a TOML of the same name beside it"
    suffixes = ONNX

    @classmethod
    def pack(cls, source: Path, folder: Path, model: Model) -> None:
        """Write the network as one file, weights that lie beside it included, and try it."""
        from medaet_plugins.network_file.inference import NAMES, try_out
        from medaet_plugins.network_file.onnx_file import write_whole

        boxes = model.task == "detection"
        write_whole(cls._network(source), folder / NAMES[cls.name], boxes=boxes)
        try_out(folder / NAMES[cls.name], model)


def _inputs(said: Description, answers: Answers) -> dict[str, SeriesSelector]:
    modality = answers.modality or said.modality.upper()
    if not modality:
        raise missing("the modality", "modality in the TOML, or --modality CT or MR")
    selector = SeriesSelector(
        modality=modality,
        body_part=answers.body_part or tuple(one.upper() for one in said.body_part),
        min_slices=said.min_slices or answers.min_slices or FEWEST_SLICES,
    )
    return dict.fromkeys(said.channels, selector)


def _output(label: str, values: tuple[int, ...], said: Description, answers: Answers) -> Output:
    proposal = propose(label)
    unit = said.units.get(label)
    return Output(
        label=label.replace("_", " ")[:64],
        values=values,
        code=answers.codes.get(label) or said.code(label) or proposal.code,
        category=proposal.category,
        modifier=proposal.modifier,
        unit=Code(unit, "UCUM", UNITS.get(unit, unit)) if unit else None,
    )


def _plain_name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63]


@hookimpl
def medaet_model_kinds() -> Sequence[type[ModelKind]]:
    """Offer both kinds."""
    return [TorchScript, Onnx]
