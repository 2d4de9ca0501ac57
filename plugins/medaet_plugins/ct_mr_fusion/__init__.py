"""CT and MR of one head together: skull from CT, brain from MR, and the space between them, on the grid of the CT."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from medaet import (
    Alignment,
    Analysis,
    AnalysisRuntime,
    Findings,
    Measurement,
    Partner,
    Segment,
    SeriesSelector,
    Volume,
    hookimpl,
)
from medaet.codes import BRAIN, INTRACRANIAL_SPACE, SKULL

INTRACRANIAL = "Intracranial space"
HOW = (
    "Skull is bone on CT within 25 mm of the brain; the intracranial space is the brain that the MR shows, with its "
    "fluid spaces, and what lies between it and the bone on CT, up to 6 mm."
)
DISAGREE = "{percent:.0f} % of the brain on MR lies in bone on CT: look at the registration before you use this."
MOST_IN_BONE = 0.02


class CtMrFusion(Analysis):
    """Registers MR of the head to CT of the same head, and measures what only both show."""

    name: ClassVar[str] = "ct-mr-fusion"
    version: ClassVar[str] = "1.0.0"
    title: ClassVar[str] = "CT and MR of the head, fused"
    intended_use: ClassVar[str] = (
        "Shows CT and MR of one adult's head on one grid: registration, the MR resampled, skull, brain and "
        "intracranial volume. Not for diagnostic use."
    )
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "ct": SeriesSelector(modality="CT", body_part=("HEAD", "BRAIN", "SKULL"), min_slices=15),
        "mr": SeriesSelector(modality="MR", body_part=("BRAIN", "HEAD", "SKULL"), min_slices=15),
    }
    partners: ClassVar[Mapping[str, Partner]] = {
        "mr": Partner("patient", within_hours=24 * 7, wait_minutes=60)
    }
    alignments: ClassVar[Mapping[str, Alignment]] = {"mr": Alignment("ct", "rigid")}
    resources: ClassVar[tuple[str, ...]] = (
        "../brain_mr/box.safetensors",
        "../brain_mr/brain.safetensors",
    )
    memory_mb: ClassVar[int] = 2500

    def load(self, runtime: AnalysisRuntime) -> None:
        """Read the networks of brain-mr onto the device."""
        from medaet_plugins.brain_mr.network import load_network

        self.box, self.brain = (
            load_network(self.resource(name), runtime.device) for name in self.resources
        )

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Find the brain on MR, carry it to the CT, and find the bone around it."""
        from medaet_plugins.brain_mr.inference import find_brain
        from medaet_plugins.ct_mr_fusion.anatomy import Surroundings

        ct, mr = inputs["ct"], inputs["mr"]
        runtime.progress(0.3, "finding the brain")
        found = find_brain(mr, self.box, self.brain, runtime)
        runtime.progress(0.7, "finding the bone around it")
        brain = mr.carry(found, ct)
        around = Surroundings.of(ct, brain)
        segments = [
            Segment("Skull", around.skull, SKULL, role="ct"),
            Segment("Brain", brain & ~around.skull, BRAIN, role="ct"),
            Segment(INTRACRANIAL, around.inside, INTRACRANIAL_SPACE, role="ct"),
        ]
        share = around.brain_in_bone
        warnings = [DISAGREE.format(percent=100 * share)] if share > MOST_IN_BONE else []
        return Findings(
            segments=segments,
            measurements=[Measurement.volume(of=one.label) for one in segments],
            remarks=[*warnings, HOW],
        )


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer the analysis of this plugin."""
    return [CtMrFusion]
