"""The classical masks of lungs and trachea as an analysis, so that training can take its labels from it.

It is not registered: a training configuration names this module.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from medaet import Analysis, AnalysisRuntime, Findings, Segment, SeriesSelector, Volume, hookimpl
from medaet.codes import LEFT, LUNG, RIGHT, TRACHEA


class ChestTeacher(Analysis):
    """Thresholds and morphology, no network; see `labels.py`."""

    name: ClassVar[str] = "chest-ct-teacher"
    version: ClassVar[str] = "1.0.0"
    title: ClassVar[str] = "Classical lung and trachea masks"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {"ct": SeriesSelector(modality="CT")}

    def analyse(
        self,
        inputs: Mapping[str, Volume],
        runtime: AnalysisRuntime,  # noqa: ARG002 -- no device is needed
    ) -> Findings:
        """Mask both lungs and the trachea."""
        from medaet_plugins.chest_ct.inference import left_and_right
        from medaet_plugins.chest_ct.labels import classical_airway, classical_lungs

        volume = inputs["ct"]
        left, right = left_and_right(classical_lungs(volume), volume)
        return Findings(
            segments=[
                Segment("Left lung", left, LUNG, modifier=LEFT),
                Segment("Right lung", right, LUNG, modifier=RIGHT),
                Segment("Trachea", classical_airway(volume), TRACHEA),
            ]
        )


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer the teacher."""
    return [ChestTeacher]
