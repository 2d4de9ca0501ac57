"""The inside of the skull on CT and on MR of any contrast, by one small network that learned from synthetic images."""

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
from medaet.codes import INTRACRANIAL_SPACE

INTRACRANIAL = "Intracranial space"
NOTE = "The mask is made at 4 mm: a rough outline of brain and fluid spaces, not the dura."


class HeadAny(Analysis):
    """Masks what lies inside the skull."""

    name: ClassVar[str] = "head-any"
    version: ClassVar[str] = "1.0.0"
    title: ClassVar[str] = "Intracranial mask"
    intended_use: ClassVar[str] = (
        "Finds the inside of the skull on CT and MR of the head of adults: a rough mask and its volume. "
        "Not for diagnostic use."
    )
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "head": SeriesSelector(
            modality=("CT", "MR"), body_part=("HEAD", "BRAIN", "SKULL"), min_slices=15
        )
    }
    resources: ClassVar[tuple[str, ...]] = ("training.json", "model.safetensors")
    memory_mb: ClassVar[int] = 1000

    def load(self, runtime: AnalysisRuntime) -> None:
        """Read the network onto the device."""
        from medaet.compute.trained.model import TrainedModel

        self.model = TrainedModel.read(
            self.resource("training.json"), self.resource("model.safetensors"), runtime.device
        )

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Mask the inside of the skull and measure it."""
        inside = self.model.segment(inputs["head"], runtime) == 1
        return Findings(
            segments=[Segment(INTRACRANIAL, inside, INTRACRANIAL_SPACE)],
            measurements=[Measurement.volume(of=INTRACRANIAL)],
            remarks=[NOTE],
        )


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer the analysis of this plugin."""
    return [HeadAny]
