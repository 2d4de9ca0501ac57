"""Where the planes of a series lie: their order, their spacing, and the matrix from voxels to the patient."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medaet.errors import GeometryError

SPACING_TOLERANCE_MM = 0.1
SPACING_TOLERANCE_FRACTION = 0.02
"""Real series wobble: a gap may differ from the median gap by the larger of the two."""

SPACING_TOLERANCE_LIMIT = 0.4
"""Whatever the two say, never by more than this fraction: slices 0.1 mm apart must not hide a missing one."""

SAME_POSITION_FRACTION = 0.1
SAME_POSITION_MM = 1e-3
"""Two instances lie at one position when their gap is below this fraction of the widest, or this distance."""

COSINE_TOLERANCE = 1e-3
UNIT_TOLERANCE = 1e-2
IN_PLANE_TOLERANCE_MM = 1e-3
NAMED_INSTANCES = 3


@dataclass(frozen=True, slots=True)
class Plane:
    """The place of one image (PS3.3 §C.7.6.2).

    Attributes:
        sop_instance_uid: Names the instance in messages.
        position: Image Position (Patient): centre of the first voxel, mm, LPS+.
        orientation: Image Orientation (Patient): six direction cosines, the row's first.
        pixel_spacing: Pixel Spacing in mm: between rows, then between columns.
        thickness_mm: Distance to the next slice if there were one; used for a single slice only, 0 when unknown.
    """

    sop_instance_uid: str
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, ...]
    thickness_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A regular stack of planes.

    Attributes:
        order: For each slice of the stack, the index of its plane in the sequence given.
        affine: (4, 4); maps (column, row, slice, 1) to (x, y, z, 1) in mm, LPS+.
    """

    order: tuple[int, ...]
    affine: NDArray[np.float64]


def grid(planes: Sequence[Plane]) -> Grid:
    """Stack planes into one regular grid; slices run along the normal, row cosine x column cosine.

    A stack whose positions drift sideways (a tilted gantry) is regular too: its third axis is not the normal.

    Args:
        planes: In any order; at least one.

    Raises:
        GeometryError: orientation or pixel spacing differ, positions repeat, slices are missing, or the planes are
            shifted against each other; the message names instances.

    Source:
        PS3.3 §C.7.6.2.1.1, equation C.7.6.2.1-1.
    """
    if not planes:
        raise GeometryError("the series holds no image")
    _check_alike("orientations", planes, [plane.orientation for plane in planes], COSINE_TOLERANCE)
    _check_alike(
        "pixel spacings", planes, [plane.pixel_spacing for plane in planes], IN_PLANE_TOLERANCE_MM
    )
    row_cosines, column_cosines = _cosines(planes[0])
    normal = np.cross(row_cosines, column_cosines)
    positions = np.array([plane.position for plane in planes], dtype=np.float64)
    order = [int(i) for i in np.argsort(positions @ normal, kind="stable")]
    step = _step([planes[i] for i in order], positions[order], normal)
    row_spacing, column_spacing = planes[0].pixel_spacing
    affine = np.eye(4)
    affine[:3, 0] = row_cosines * column_spacing
    affine[:3, 1] = column_cosines * row_spacing
    affine[:3, 2] = step
    affine[:3, 3] = positions[order[0]]
    return Grid(tuple(order), affine)


def _check_alike(
    what: str, planes: Sequence[Plane], values: Sequence[Sequence[float]], tolerance: float
) -> None:
    table = np.asarray(values, dtype=np.float64)
    usual = np.median(table, axis=0)
    odd = [planes[i] for i in np.flatnonzero((abs(table - usual) > tolerance).any(axis=1)).tolist()]
    if odd:
        raise GeometryError(
            f"the series mixes {what}: {len(odd)} of {len(planes)} instances differ from the "
            f"others, {named(odd)}; send them as series of their own"
        )


def _cosines(plane: Plane) -> NDArray[np.float64]:
    cosines = np.asarray(plane.orientation, dtype=np.float64).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1)
    if np.any(abs(lengths - 1) > UNIT_TOLERANCE) or abs(cosines[0] @ cosines[1]) > UNIT_TOLERANCE:
        raise GeometryError(f"the direction cosines are not unit and orthogonal: {named([plane])}")
    return cosines


def _step(
    planes: Sequence[Plane], positions: NDArray[np.float64], normal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the vector from one slice to the next, mm, after checking that there is only one."""
    if len(planes) == 1:
        return normal * _thickness_mm(planes[0])
    gaps = np.diff(positions @ normal)
    _check_distinct(planes, gaps)
    median = float(np.median(gaps))
    tolerance = min(
        max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE_FRACTION * median),
        SPACING_TOLERANCE_LIMIT * median,
    )
    _check_even(planes, gaps, median, tolerance)
    mean = np.asarray((positions[-1] - positions[0]) / (len(planes) - 1), dtype=np.float64)
    expected = positions[0] + np.outer(np.arange(len(planes)), mean)
    off = np.linalg.norm(positions - expected, axis=1)
    if off.max() > tolerance:
        raise GeometryError(
            f"a slice lies {off.max():.3f} mm off the line through the first and the last: "
            f"{named([planes[int(off.argmax())]])}"
        )
    return mean


def _thickness_mm(plane: Plane) -> float:
    if plane.thickness_mm <= 0:
        raise GeometryError(
            "the only slice has neither SliceThickness nor SpacingBetweenSlices, so that no "
            f"volume can be measured: {named([plane])}"
        )
    return plane.thickness_mm


def _check_distinct(planes: Sequence[Plane], gaps: NDArray[np.float64]) -> None:
    doubled = np.flatnonzero(
        gaps < max(SAME_POSITION_MM, min(SPACING_TOLERANCE_MM, SAME_POSITION_FRACTION * gaps.max()))
    )
    if doubled.size:
        at = int(doubled[0])
        raise GeometryError(
            f"{doubled.size} positions are held by two instances, the first by "
            f"{named(planes[at : at + 2])}; send phases or echoes as series of their own"
        )


def _check_even(
    planes: Sequence[Plane], gaps: NDArray[np.float64], median: float, tolerance: float
) -> None:
    uneven = np.flatnonzero(abs(gaps - median) > tolerance)
    if uneven.size:
        at = int(uneven[0])
        missing = round(float(gaps[at]) / median) - 1
        cause = f"{missing} missing there" if missing > 0 else "spaced unevenly"
        raise GeometryError(
            f"slices are {median:.3f} mm apart, but {gaps[at]:.3f} mm between "
            f"{named(planes[at : at + 2])} ({cause}); {uneven.size} such gaps"
        )


def named(planes: Sequence[Plane]) -> str:
    """Name instances in a message: the first few, and how many more."""
    names = ", ".join(plane.sop_instance_uid for plane in planes[:NAMED_INSTANCES])
    more = len(planes) - NAMED_INSTANCES
    return f"SOP Instance UID {names}" + (f" and {more} more" if more > 0 else "")
