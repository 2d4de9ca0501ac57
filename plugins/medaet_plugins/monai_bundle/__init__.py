"""MONAI bundles as analyses, without a line of code and, for most of them, without running any of theirs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from medaet import AnalysisRuntime, Findings, Volume, hookimpl
from medaet.errors import PluginError
from medaet.plugin.kind import Answers, ModelKind
from medaet.plugin.model import Model
from medaet.plugin.model_analysis import ModelAnalysis
from medaet_plugins.monai_bundle.folder import describe, find_bundle, pack


class BundleAnalysis(ModelAnalysis):
    """Runs a packed bundle."""

    def load(self, runtime: AnalysisRuntime) -> None:
        """Compare the files with the manifest, and build the network on the device."""
        from medaet_plugins.monai_bundle.inference import Bundle

        folder = self.checked()
        self.bundle: Any = Bundle(folder, runtime.device, channels=len(self.model.inputs))

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Show the bundle the series, the second and later ones on the grid of the first."""
        from medaet.plugin.axes import on_one_grid

        runtime.progress(0.1, "predicting")
        volumes, options = on_one_grid(self.volumes(inputs)), self.model.options
        if self.model.task == "detection":
            return self.from_candidates(
                self.bundle.candidates(
                    volumes, threshold=options["threshold"], most=options["most"]
                )
            )
        if self.model.task == "classification":
            exclusive = options["exclusive"]
            return self.from_probabilities(
                self.bundle.probabilities(volumes, exclusive=exclusive),
                threshold=options["threshold"],
                exclusive=exclusive,
            )
        found = self.bundle.predict(volumes)
        if self.model.overlapping:
            return self.from_channels(found > 0)
        labels = found[0] if len(found) == 1 else found.argmax(0)
        return self.from_labels(labels.round().astype("uint8"))


class MonaiBundle(ModelKind):
    """A MONAI bundle: configs/metadata.json, configs/inference.json or .yaml, models/model.pt or model.ts."""

    name = "monai-bundle"
    title = "MONAI bundle"
    analysis: ClassVar[type[ModelAnalysis]] = BundleAnalysis

    @classmethod
    def recognises(cls, source: Path) -> bool:
        """Whether there is a metadata.json where bundles have it."""
        try:
            find_bundle(source)
        except PluginError:
            return False
        return True

    @classmethod
    def describe(cls, source: Path, answers: Answers) -> Model:
        """Read the manifest from metadata.json and the inference configuration."""
        return describe(source, answers)

    @classmethod
    def pack(cls, source: Path, folder: Path, model: Model) -> None:
        """Write the configuration that inference needs, and the weights without a pickle."""
        pack(source, folder, model)


@hookimpl
def medaet_model_kinds() -> Sequence[type[ModelKind]]:
    """Offer the kind of this plugin."""
    return [MonaiBundle]
