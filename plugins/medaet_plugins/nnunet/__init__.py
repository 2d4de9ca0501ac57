"""nnU-Net v2 trained-model folders and exported zips as analyses, without nnunetv2 and without a line of code."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from medaet import AnalysisRuntime, Findings, Settings, Volume, hookimpl
from medaet.errors import PluginError
from medaet.plugin.kind import Answers, ModelKind
from medaet.plugin.model import Model
from medaet.plugin.model_analysis import ModelAnalysis
from medaet_plugins.nnunet.folder import describe, find_folder, pack
from medaet_plugins.nnunet.group import Options, describe_group, find_group, pack_group


class NnUNetSettings(Settings):
    """Settings of every nnU-Net.

    Attributes:
        mirror: Average over the flips that the model was trained for: up to eight times the work.
        step: From one sliding window to the next, as a share of the window.
    """

    mirror: bool = True
    step: float = 0.5


class NnUNetAnalysis(ModelAnalysis):
    """Runs a packed nnU-Net."""

    Settings = NnUNetSettings

    def load(self, runtime: AnalysisRuntime) -> None:
        """Compare the files with the manifest, and read the folds onto the device."""
        self.predictor: Any = self._of(self.checked(), runtime)

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Segment the series, the second and later ones on the grid of the first."""
        from medaet.plugin.axes import on_one_grid, towards

        volumes = on_one_grid(self.volumes(inputs))
        turn = towards(self.model.orientation, volumes[0].affine)
        labels = self.predictor.predict(
            [turn.apply(one.voxels) for one in volumes],
            turn.along(volumes[0].spacing_mm),
            runtime.progress,
        )
        if labels is None:  # of a group only
            return Findings(remarks=["The rough model found nothing in the scan to look at."])
        return self.from_labels(turn.undo(labels))

    def _of(self, folder: Path, runtime: AnalysisRuntime) -> Any:
        """Read one nnU-Net onto the device."""
        from medaet_plugins.nnunet.inference import Predictor

        chosen = self.settings
        assert isinstance(chosen, NnUNetSettings)
        return Predictor(folder, runtime.device, mirror=chosen.mirror, step=chosen.step)


class NnUNet(ModelKind):
    """nnU-Net v2: dataset.json, plans.json and fold_N/checkpoint_final.pth, in a folder or an exported zip."""

    name = "nnunet"
    title = "nnU-Net v2 trained-model folder, or the zip that nnUNetv2_export_model_to_zip writes"
    analysis: ClassVar[type[ModelAnalysis]] = NnUNetAnalysis
    trial: ClassVar[Mapping[str, object]] = {"mirror": False}

    @classmethod
    def recognises(cls, source: Path) -> bool:
        """Whether the three parts are there."""
        try:
            find_folder(source)
        except PluginError:
            return False
        return True

    @classmethod
    def describe(cls, source: Path, answers: Answers) -> Model:
        """Read the manifest from plans.json and dataset.json."""
        return describe(source, answers)

    @classmethod
    def pack(cls, source: Path, folder: Path, model: Model) -> None:
        """Write the folds as safetensors, and what else a checkpoint carries as JSON."""
        pack(source, folder, model)


class NnUNetGroupAnalysis(NnUNetAnalysis):
    """Runs several packed nnU-Nets as one."""

    def load(self, runtime: AnalysisRuntime) -> None:
        """Compare the files with the manifest, and read every sub-model onto the device."""
        from medaet_plugins.nnunet.merged import Merged

        options = Options.model_validate(self.model.options)
        self.predictor = Merged(self.checked(), options, lambda folder: self._of(folder, runtime))


class NnUNetGroup(ModelKind):
    """Several nnU-Nets as one model: group.toml, and a trained-model folder for each beside it."""

    name = "nnunet-group"
    title = "several nnU-Net folders beside a group.toml"
    analysis: ClassVar[type[ModelAnalysis]] = NnUNetGroupAnalysis
    trial: ClassVar[Mapping[str, object]] = {"mirror": False}
    before: ClassVar[tuple[str, ...]] = ("nnunet",)  # where there is one sub-model only

    @classmethod
    def recognises(cls, source: Path) -> bool:
        """Whether there is a group.toml."""
        return find_group(source) is not None

    @classmethod
    def describe(cls, source: Path, answers: Answers) -> Model:
        """Read the manifest from group.toml and the sub-models."""
        return describe_group(source, answers)

    @classmethod
    def pack(cls, source: Path, folder: Path, model: Model) -> None:
        """Pack each sub-model."""
        pack_group(source, folder, model)


@hookimpl
def medaet_model_kinds() -> Sequence[type[ModelKind]]:
    """Offer single models and groups."""
    return [NnUNet, NnUNetGroup]
