"""Brain on head MR: its mask and its volume, by the networks of deepbet."""

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
from medaet.codes import BRAIN, INTRACRANIAL_SPACE

INTRACRANIAL = "Intracranial space"
APPROXIMATION = (
    "The intracranial space is the brain with its fluid spaces as deepbet outlines it; the volume inside the dura is "
    "a little larger."
)
WITH_FLUID = "Fluid is not clearly darker than tissue in this contrast; the segment Brain holds the fluid spaces too."
WITHOUT_FLUID = (
    "The segment Brain is what is left of it without fluid, told apart by intensity (Otsu)."
)


class BrainMR(Analysis):
    """Masks the brain on MR of the head."""

    name: ClassVar[str] = "brain-mr"
    version: ClassVar[str] = "1.0.0"
    title: ClassVar[str] = "Brain mask"
    intended_use: ClassVar[str] = (
        "Shows the whole chain on MR of the head of adults: brain mask and volume. Not for diagnostic use."
    )
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "mr": SeriesSelector(modality="MR", body_part=("BRAIN", "HEAD", "SKULL"), min_slices=15)
    }
    resources: ClassVar[tuple[str, ...]] = ("box.safetensors", "brain.safetensors")
    memory_mb: ClassVar[int] = 1500

    def load(self, runtime: AnalysisRuntime) -> None:
        """Read both networks onto the device."""
        from medaet_plugins.brain_mr.network import load_network

        self.box = load_network(self.resource("box.safetensors"), runtime.device)
        self.brain = load_network(self.resource("brain.safetensors"), runtime.device)

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Mask the brain and measure it."""
        from medaet_plugins.brain_mr.inference import find_brain, tissue

        volume = inputs["mr"]
        inside = find_brain(volume, self.box, self.brain, runtime)
        solid = tissue(volume, inside)
        return Findings(
            segments=[
                Segment("Brain", inside if solid is None else solid, BRAIN),
                Segment(INTRACRANIAL, inside, INTRACRANIAL_SPACE),
            ],
            measurements=[
                Measurement.volume(of="Brain"),
                Measurement.volume(of=INTRACRANIAL),
            ],
            remarks=[WITH_FLUID if solid is None else WITHOUT_FLUID, APPROXIMATION],
        )


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer the analysis of this plugin."""
    return [BrainMR]
