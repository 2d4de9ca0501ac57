"""Where the planes of a series lie: their order, their spacing, and the matrix from voxels to the patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.codes import SLICES_DOUBLED, SLICES_TILTED
from medaet.dicom.problem import Problem
from medaet.dicom.spacing import (
    Line,
    mended_line,
    regular_line,
    same_position,
    tolerance_mm,
)
from medaet.errors import GeometryError

COSINE_TOLERANCE = 1e-3
UNIT_TOLERANCE = 1e-2
IN_PLANE_TOLERANCE_MM = 1e-3
TILT_DEGREES = 0.5
"""A smaller angle between the line of the slices and their normal is no tilted gantry."""

NAMED_INSTANCES = 3

Irregular = Literal["refuse", "resample"]
"""What to do with a stack in which slices are missing, doubled or spaced unevenly."""


@dataclass(frozen=True, slots=True)
class Plane:
    """The place of one image (PS3.3 §C.7.6.2).

    Attributes:
        sop_instance_uid: Of its instance.
        position: Image Position (Patient): centre of the first voxel, mm, LPS+.
        orientation: Image Orientation (Patient): six direction cosines, the row's first.
        pixel_spacing: Pixel Spacing in mm: between rows, then between columns.
        thickness_mm: Distance to the next slice if there were one; used for a single slice only, 0 when unknown.
        frame: Number of its frame in the instance, from 1; 0 for an instance of one frame.
    """

    sop_instance_uid: str
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, ...]
    thickness_mm: float
    frame: int = 0

    @property
    def name(self) -> str:
        """Its SOP Instance UID, and its frame where there are several."""
        return (
            f"{self.sop_instance_uid} frame {self.frame}" if self.frame else self.sop_instance_uid
        )


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A regular stack of planes.

    Attributes:
        order: For each plane of the stack, its index in the sequence given; along the normal.
        places: Where these planes lie among the slices; 0, 1, 2 ... unless the stack was mended.
        slices: How many slices there are.
        affine: (4, 4); maps (column, row, slice, 1) to (x, y, z, 1) in mm, LPS+.
        problems: What was mended, and what a reader must know.
    """

    order: tuple[int, ...]
    places: tuple[float, ...]
    slices: int
    affine: NDArray[np.float64]
    problems: tuple[Problem, ...] = ()


def grid(planes: Sequence[Plane], irregular: Irregular = "refuse") -> Grid:
    """Stack planes into one regular grid; slices run along the normal, row cosine x column cosine.

    A stack whose positions drift sideways (a tilted gantry) is regular too: its third axis is not the normal.

    Args:
        planes: In any order; at least one.
        irregular: "resample" mends missing, doubled and unevenly spaced slices where that is sensible.

    Raises:
        GeometryError: orientation or pixel spacing differ, or the planes are shifted against each other; positions
            repeat or slices are missing, unless these are mended; the message names instances.

    Source:
        PS3.3 §C.7.6.2.1.1, equation C.7.6.2.1-1.
    """
    if not planes:
        raise GeometryError("the series holds no image")
    check_alike("orientations", planes, [plane.orientation for plane in planes], COSINE_TOLERANCE)
    check_alike(
        "pixel spacings", planes, [plane.pixel_spacing for plane in planes], IN_PLANE_TOLERANCE_MM
    )
    cosines = _cosines(planes[0])
    normal = np.cross(cosines[0], cosines[1])
    positions = np.array([plane.position for plane in planes], dtype=np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    order, problems = _distinct(planes, order, positions @ normal, irregular)
    ordered = [planes[i] for i in order.tolist()]
    line, step = _stacked(ordered, positions[order], normal, irregular)
    row_spacing, column_spacing = planes[0].pixel_spacing
    affine = np.eye(4)
    affine[:3, 0] = cosines[0] * column_spacing
    affine[:3, 1] = cosines[1] * row_spacing
    affine[:3, 2] = step
    affine[:3, 3] = positions[order[0]]
    return Grid(
        order=tuple(order.tolist()),
        places=tuple(line.places.tolist()),
        slices=round(float(line.places[-1])) + 1,
        affine=affine,
        problems=(*problems, *line.problems, *_tilt(step, normal)),
    )


def check_alike(
    what: str, planes: Sequence[Plane], values: Sequence[Sequence[float]], tolerance: float
) -> None:
    """Refuse planes of which some differ from the others.

    Raises:
        GeometryError: naming the odd ones.
    """
    table = np.asarray(values, dtype=np.float64)
    usual = np.median(table, axis=0)
    odd = [planes[i] for i in np.flatnonzero((abs(table - usual) > tolerance).any(axis=1)).tolist()]
    if odd:
        raise GeometryError(
            f"the series mixes {what}: {len(odd)} of {len(planes)} instances differ from the "
            f"others, {named(odd)}; send them as series of their own"
        )


def named(planes: Sequence[Plane]) -> str:
    """Name instances in a message: the first few, and how many more."""
    names = ", ".join(plane.name for plane in planes[:NAMED_INSTANCES])
    more = len(planes) - NAMED_INSTANCES
    return f"SOP Instance UID {names}" + (f" and {more} more" if more > 0 else "")


def _cosines(plane: Plane) -> NDArray[np.float64]:
    cosines = np.asarray(plane.orientation, dtype=np.float64).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1)
    if np.any(abs(lengths - 1) > UNIT_TOLERANCE) or abs(cosines[0] @ cosines[1]) > UNIT_TOLERANCE:
        raise GeometryError(f"the direction cosines are not unit and orthogonal: {named([plane])}")
    return cosines


def _distinct(
    planes: Sequence[Plane],
    order: NDArray[np.intp],
    heights: NDArray[np.float64],
    irregular: Irregular,
) -> tuple[NDArray[np.intp], tuple[Problem, ...]]:
    """Return the order without planes at positions that others hold already."""
    doubled = np.flatnonzero(same_position(np.diff(heights[order])))
    if not doubled.size:
        return order, ()
    if irregular == "refuse":
        first = int(doubled[0])
        pair = [planes[int(i)] for i in order[first : first + 2]]
        raise GeometryError(
            f"{doubled.size} positions are held by two instances, the first by {named(pair)}; "
            "send phases or echoes as series of their own"
        )
    problem = Problem(
        SLICES_DOUBLED,
        f"{doubled.size} slices lie where others do; the first at each position was taken.",
    )
    return np.delete(order, doubled + 1), (problem,)


def _stacked(
    planes: Sequence[Plane],
    positions: NDArray[np.float64],
    normal: NDArray[np.float64],
    irregular: Irregular,
) -> tuple[Line, NDArray[np.float64]]:
    """Return the line of the slices and the step from one to the next in mm."""
    if len(planes) == 1:
        return Line(0.0, np.zeros(1)), normal * _thickness_mm(planes[0])
    names = [plane.name for plane in planes]
    heights = positions @ normal
    try:
        line = regular_line(heights, names)
    except GeometryError:
        if irregular == "refuse":
            raise
        line = mended_line(heights, names)
    step = np.asarray((positions[-1] - positions[0]) / line.places[-1], dtype=np.float64)
    off = np.linalg.norm(positions - (positions[0] + np.outer(line.places, step)), axis=1)
    if off.max() > tolerance_mm(line.distance_mm):
        raise GeometryError(
            f"a slice lies {off.max():.3f} mm off the line through the first and the last: "
            f"{named([planes[int(off.argmax())]])}"
        )
    return line, step


def _thickness_mm(plane: Plane) -> float:
    if plane.thickness_mm <= 0:
        raise GeometryError(
            "the only slice has neither SliceThickness nor SpacingBetweenSlices, so that no "
            f"volume can be measured: {named([plane])}"
        )
    return plane.thickness_mm


def _tilt(step: NDArray[np.float64], normal: NDArray[np.float64]) -> tuple[Problem, ...]:
    cosine = float(step @ normal / (np.linalg.norm(step) * np.linalg.norm(normal)))
    degrees = float(np.degrees(np.arccos(min(1.0, cosine))))
    if degrees < TILT_DEGREES:
        return ()
    return (
        Problem(
            SLICES_TILTED,
            f"The slices are tilted by {degrees:.1f} degrees against their normal (gantry tilt).",
        ),
    )
