"""Lungs and trachea on chest CT: left and right, their volume, density and emphysema index."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from medaet import (
    Analysis,
    AnalysisRuntime,
    Findings,
    Measurement,
    Segment,
    SeriesSelector,
    Volume,
    hookimpl,
)
from medaet.codes import EMPHYSEMA_INDEX, LEFT, LUNG, PERCENT, RIGHT, TRACHEA

LEFT_LUNG, RIGHT_LUNG, TRACHEA_LABEL = 1, 2, 3
"""What the network calls them, in the order of training.toml."""

NOTE = "The emphysema index is the share of a lung's voxels below -950 HU; it depends on the reconstruction kernel."


class ChestCT(Analysis):
    """Segments and measures the lungs on CT of the chest."""

    name: ClassVar[str] = "chest-ct"
    version: ClassVar[str] = "2.0.0"
    title: ClassVar[str] = "Lung segmentation"
    intended_use: ClassVar[str] = (
        "Shows the whole chain on CT of the chest: lungs, their volume, density and emphysema index, trachea. "
        "Not for diagnostic use."
    )
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "ct": SeriesSelector(modality="CT", body_part=("CHEST", "THORAX", "LUNG"), min_slices=20)
    }
    resources: ClassVar[tuple[str, ...]] = ("training.json", "model.safetensors")
    memory_mb: ClassVar[int] = 1500

    def load(self, runtime: AnalysisRuntime) -> None:
        """Read the network onto the device."""
        from medaet.compute.trained.model import TrainedModel

        self.model = TrainedModel.read(
            self.resource("training.json"), self.resource("model.safetensors"), runtime.device
        )

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Segment the lungs and measure them."""
        from medaet_plugins.chest_ct.inference import cleaned, emphysema_percent, left_and_right

        volume = inputs["ct"]
        labels = self.model.segment(volume, runtime)
        lungs = (labels == LEFT_LUNG) | (labels == RIGHT_LUNG)
        left, right = left_and_right(cleaned(lungs, volume), volume)
        segments, measurements = [], []
        for label, mask, side in (("Left lung", left, LEFT), ("Right lung", right, RIGHT)):
            segments.append(Segment(label, mask, LUNG, modifier=side))
            measurements += [Measurement.volume(of=label), Measurement.mean(of=label)]
            percent = emphysema_percent(mask, volume)
            if percent is not None:
                measurements.append(Measurement(EMPHYSEMA_INDEX, percent, PERCENT, of=label))
        segments.append(Segment("Trachea", labels == TRACHEA_LABEL, TRACHEA))
        measurements.append(Measurement.volume(of="Trachea"))
        return Findings(segments=segments, measurements=measurements, remarks=[NOTE])


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer the analysis of this plugin."""
    return [ChestCT]
