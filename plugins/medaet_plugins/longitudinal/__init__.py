"""The brain in a study and in an earlier one of the same patient: both masked, registered, and compared."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from medaet import (
    Alignment,
    Analysis,
    AnalysisRuntime,
    Code,
    Findings,
    Measurement,
    Partner,
    Segment,
    SeriesSelector,
    Volume,
    hookimpl,
)
from medaet.codes import (
    BRAIN,
    INTRACRANIAL_SPACE,
    MILLILITRE,
    NO_UNITS,
    PERCENT,
    PRIOR_OVERLAP,
    VOLUME_CHANGE,
    VOLUME_CHANGE_PERCENT,
)

Mask = NDArray[np.bool_]

MEANING = (
    "Changes are those of two masks made alike, current less prior. An adult's intracranial space does not change: "
    "what is measured there is the error of the method on this pair."
)
WITH_FLUID = "Fluid is not clearly darker than tissue in both contrasts; the segments Brain hold the fluid spaces too."


class Longitudinal(Analysis):
    """Follows the brain from an earlier MR of the head to this one."""

    name: ClassVar[str] = "longitudinal"
    version: ClassVar[str] = "1.0.0"
    title: ClassVar[str] = "Change of the brain since a prior study"
    intended_use: ClassVar[str] = (
        "Shows how a structure is followed over studies: brain and intracranial space on two MR of one adult's head, "
        "and their change. Not for diagnostic use."
    )
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        role: SeriesSelector(modality="MR", body_part=("BRAIN", "HEAD", "SKULL"), min_slices=15)
        for role in ("current", "prior")
    }
    partners: ClassVar[Mapping[str, Partner]] = {
        "prior": Partner("prior", wait_minutes=30, same_description=True)
    }
    alignments: ClassVar[Mapping[str, Alignment]] = {"prior": Alignment("current", "rigid")}
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
        """Mask the brain in both, each on its own grid, and compare the masks."""
        from medaet_plugins.brain_mr.inference import find_brain, tissue

        spaces = {
            role: find_brain(volume, self.box, self.brain, runtime)
            for role, volume in inputs.items()
        }
        solid = {role: tissue(volume, spaces[role]) for role, volume in inputs.items()}
        brains = {role: mask for role, mask in solid.items() if mask is not None}
        remarks = [MEANING]
        if len(brains) < len(inputs):
            brains, remarks = spaces, [WITH_FLUID, MEANING]
        looks = [
            _Followed("Brain", BRAIN, brains, inputs),
            _Followed("Intracranial space", INTRACRANIAL_SPACE, spaces, inputs),
        ]
        return Findings(
            segments=[segment for one in looks for segment in one.segments()],
            measurements=[item for one in looks for item in one.measurements()],
            remarks=remarks,
        )


class _Followed:
    """One structure, seen twice."""

    def __init__(
        self, label: str, code: Code, masks: Mapping[str, Mask], inputs: Mapping[str, Volume]
    ) -> None:
        self._label = label
        self._code = code
        self._masks = masks
        self._inputs = inputs

    def segments(self) -> list[Segment]:
        """Return the same structure on both inputs; one Tracking UID ties them together."""
        return [
            Segment(label, self._masks[role], self._code, role=role, followed=self._label)
            for role, label in (("current", self._label), ("prior", f"{self._label}, prior"))
        ]

    def measurements(self) -> list[Measurement]:
        """Measure both, and their difference; without a prior to compare with, no difference."""
        both = [Measurement.volume(of=segment.label) for segment in self.segments()]
        now, before = (
            float(self._masks[role].sum()) * self._inputs[role].voxel_ml
            for role in ("current", "prior")
        )
        if not before or not now:
            return both
        return [
            *both,
            Measurement(VOLUME_CHANGE, now - before, MILLILITRE, self._label),
            Measurement(VOLUME_CHANGE_PERCENT, 100 * (now / before - 1), PERCENT, self._label),
            Measurement(PRIOR_OVERLAP, self._overlap(), NO_UNITS, self._label),
        ]

    def _overlap(self) -> float:
        """Return the Dice coefficient of both masks on the current grid."""
        current = self._masks["current"]
        prior = self._inputs["prior"].carry(self._masks["prior"], self._inputs["current"])
        return 2 * float((current & prior).sum()) / max(1.0, float(current.sum() + prior.sum()))


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer the analysis of this plugin."""
    return [Longitudinal]
