"""Where the planes of a series lie: their order, their spacing, and the matrix from voxels to the patient."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medaet.errors import GeometryError

SPACING_TOLERANCE_MM = 0.1
SPACING_TOLERANCE_FRACTION = 0.02
"""Real series wobble: a gap may differ from the median gap by the larger of the two."""

COSINE_TOLERANCE = 1e-3
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
        thickness_mm: Spacing Between Slices or Slice Thickness; used for a single slice only.
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
    first = planes[0]
    _check_alike(planes)
    cosines = np.asarray(first.orientation, dtype=np.float64).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1)
    if np.any(abs(lengths - 1) > 0.01) or abs(cosines[0] @ cosines[1]) > 0.01:
        raise GeometryError(f"the direction cosines are not unit and orthogonal: {_named([first])}")
    normal = np.cross(cosines[0], cosines[1])
    positions = np.array([plane.position for plane in planes], dtype=np.float64)
    distances = positions @ normal
    order = np.argsort(distances, kind="stable")
    step = _step([planes[i] for i in order], positions[order], distances[order], normal)
    row_spacing, column_spacing = first.pixel_spacing
    affine = np.eye(4)
    affine[:3, 0] = cosines[0] * column_spacing
    affine[:3, 1] = cosines[1] * row_spacing
    affine[:3, 2] = step
    affine[:3, 3] = positions[order[0]]
    return Grid(tuple(int(i) for i in order), affine)


def _check_alike(planes: Sequence[Plane]) -> None:
    for what, values, tolerance in (
        ("orientations", [plane.orientation for plane in planes], COSINE_TOLERANCE),
        ("pixel spacings", [plane.pixel_spacing for plane in planes], IN_PLANE_TOLERANCE_MM),
    ):
        table = np.asarray(values)
        odd = [planes[i] for i in np.flatnonzero((abs(table - table[0]) > tolerance).any(axis=1))]
        if odd:
            raise GeometryError(
                f"the series mixes {what}: {len(odd)} of {len(planes)} instances differ from the "
                f"first, {_named(odd)}"
            )


def _step(
    planes: Sequence[Plane],
    positions: NDArray[np.float64],
    distances: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the vector from one slice to the next, mm, after checking that there is only one."""
    if len(planes) == 1:
        return normal * (planes[0].thickness_mm or 1.0)
    gaps = np.diff(distances)
    median = float(np.median(gaps))
    tolerance = max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE_FRACTION * median)
    doubled = np.flatnonzero(gaps < SPACING_TOLERANCE_MM)
    if doubled.size:
        pair = [planes[doubled[0]], planes[doubled[0] + 1]]
        raise GeometryError(
            f"{doubled.size} positions are held by two instances, the first by {_named(pair)}; "
            "send the phases or echoes as series of their own"
        )
    uneven = np.flatnonzero(abs(gaps - median) > tolerance)
    if uneven.size:
        at = int(uneven[0])
        missing = round(float(gaps[at]) / median) - 1
        cause = f"{missing} missing there" if missing > 0 else "spaced unevenly"
        raise GeometryError(
            f"slices are {median:.3f} mm apart, but {gaps[at]:.3f} mm between "
            f"{_named(planes[at : at + 2])} ({cause}); {uneven.size} such gaps"
        )
    mean = (positions[-1] - positions[0]) / (len(planes) - 1)
    expected = positions[0] + np.outer(np.arange(len(planes)), mean)
    off = np.linalg.norm(positions - expected, axis=1)
    if off.max() > tolerance:
        raise GeometryError(
            f"a slice lies {off.max():.3f} mm beside the line through the others: "
            f"{_named([planes[int(off.argmax())]])}"
        )
    return np.asarray(mean, dtype=np.float64)


def _named(planes: Sequence[Plane]) -> str:
    names = ", ".join(plane.sop_instance_uid for plane in planes[:NAMED_INSTANCES])
    more = len(planes) - NAMED_INSTANCES
    return f"SOP Instance UID {names}" + (f" and {more} more" if more > 0 else "")
