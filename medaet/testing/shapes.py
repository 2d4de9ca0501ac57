"""Three solids in patient space without any symmetry, and the analysis that finds them by their grey values.

Where a voxel lies decides which solid it belongs to, whatever the geometry of the series that shows it. So a result can
be judged by itself: each of its voxels against the solid at its place.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from medaet import (
    Analysis,
    AnalysisRuntime,
    Findings,
    Measurement,
    SeriesSelector,
    Volume,
    hookimpl,
)
from medaet.dicom.codes import LEFT, LUNG, RIGHT, Code
from medaet.dicom.structures import Structure
from medaet.plugin.segment import segments_of

CENTRE_MM = (7.31, -11.87, 23.17)
GREY = 50
"""Grey value of the first solid; the others have twice and three times that."""

LIVER = Code("10200004", "SCT", "Liver")
SOLIDS = {
    1: Structure("Right ball", LUNG, modifier=RIGHT),
    2: Structure("Left hook", LUNG, modifier=LEFT),
    3: Structure("Front bar", LIVER),
}


def solid_at(points: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return which solid is at each point, 0 for none.

    Args:
        points: (..., 3), x, y and z in mm, LPS+.
    """
    x, y, z = np.moveaxis(np.asarray(points) - CENTRE_MM, -1, 0)
    ball = ((x + 9.13) / 6.07) ** 2 + ((y - 2.91) / 8.03) ** 2 + ((z + 3.07) / 7.11) ** 2 < 1
    stem = _box(x, 5.171, 8.637) & _box(y, -3.463, 9.817) & _box(z, -9.291, 10.443)
    foot = _box(x, 5.171, 14.389) & _box(y, -3.463, 9.817) & _box(z, -9.291, -4.607)
    bar = _box(x, -6.553, 12.741) & _box(y, -11.319, -6.219) & _box(z, 2.117, 7.689)
    kinds: NDArray[np.uint8] = np.select([ball, stem | foot, bar], [1, 2, 3], 0).astype(np.uint8)
    return kinds


def _box(values: NDArray[Any], low: float, high: float) -> NDArray[np.bool_]:
    return (values > low) & (values < high)


class FindsShapes(Analysis):
    """Finds each solid by its grey value."""

    version: ClassVar[str] = "1"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:  # noqa: ARG002 -- thresholds need none
        """Name every voxel that has the grey value of a solid."""
        ((_, volume),) = inputs.items()
        labels = np.zeros(volume.voxels.shape, np.uint8)
        for number in SOLIDS:
            labels[volume.voxels == number * GREY] = number
        segments = segments_of(labels, SOLIDS)
        return Findings(segments, [Measurement.volume(of=one.label) for one in segments])


class FindsShapesOnCt(FindsShapes):
    """Takes any CT."""

    name: ClassVar[str] = "shapes-ct"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {"ct": SeriesSelector(modality="CT")}


class FindsShapesOnMr(FindsShapes):
    """Takes any MR."""

    name: ClassVar[str] = "shapes-mr"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {"mr": SeriesSelector(modality="MR")}


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer both."""
    return [FindsShapesOnCt, FindsShapesOnMr]
