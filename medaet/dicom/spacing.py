"""The distances between the slices of a stack: regular, or what is wrong with them and how to mend it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.codes import SLICES_MISSING, SLICES_UNEVEN
from medaet.dicom.problem import Problem
from medaet.errors import GeometryError

SPACING_TOLERANCE_MM = 0.1
SPACING_TOLERANCE_FRACTION = 0.02
"""Real series wobble: a gap may differ from the median gap by the larger of the two."""

SPACING_TOLERANCE_LIMIT = 0.4
"""Whatever the two say, never by more than this fraction: slices 0.1 mm apart must not hide a missing one."""

SAME_POSITION_FRACTION = 0.1
SAME_POSITION_MM = 1e-3
"""Two instances lie at one position when their gap is below this fraction of the widest, or this distance."""

MOST_INTERPOLATED = 3
"""A gap of more than this many slice distances is not bridged: nobody knows what lies there."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Slices at equal distances.

    Attributes:
        distance_mm: Between neighbours.
        places: Where each plane lies on the line, in slices; whole numbers but for the wobble of real series, unless
            the line was resampled.
        problems: What was mended.
    """

    distance_mm: float
    places: NDArray[np.float64]
    problems: tuple[Problem, ...] = ()


def same_position(gaps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which neighbours lie at one position.

    Args:
        gaps: Distances between neighbours in mm, none negative.
    """
    limit = min(SPACING_TOLERANCE_MM, SAME_POSITION_FRACTION * float(gaps.max(initial=0.0)))
    return np.asarray(gaps < max(SAME_POSITION_MM, limit))


def tolerance_mm(distance_mm: float) -> float:
    """Return by how much a gap may differ from the usual distance."""
    wide = max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE_FRACTION * distance_mm)
    return min(wide, SPACING_TOLERANCE_LIMIT * distance_mm)


def regular_line(heights: NDArray[np.float64], names: Sequence[str]) -> Line:
    """Return the line of slices whose gaps are all alike.

    Args:
        heights: Of each plane along the normal in mm, ascending, two or more, all distinct.
        names: Of the planes, for messages.

    Raises:
        GeometryError: a gap is wider or narrower than the others; the message says where.
    """
    gaps = np.diff(heights)
    median = float(np.median(gaps))
    uneven = np.flatnonzero(abs(gaps - median) > tolerance_mm(median))
    if uneven.size:
        at = int(uneven[0])
        missing = round(float(gaps[at]) / median) - 1
        cause = f"{missing} missing there" if missing > 0 else "spaced unevenly"
        raise GeometryError(
            f"slices are {median:.3f} mm apart, but {gaps[at]:.3f} mm between SOP Instance UID "
            f"{names[at]}, {names[at + 1]} ({cause}); {uneven.size} such gaps"
        )
    distance = float((heights[-1] - heights[0]) / (len(heights) - 1))
    return Line(distance, np.arange(len(heights), dtype=np.float64))


def mended_line(heights: NDArray[np.float64], names: Sequence[str]) -> Line:
    """Return a regular line through slices whose gaps differ.

    Missing slices leave the others where they are; slices at other distances make the narrowest of them the
    distance of all.

    Args:
        heights: Of each plane along the normal in mm, ascending, two or more, all distinct.
        names: Of the planes, for messages.

    Raises:
        GeometryError: a gap is too wide to be bridged.
    """
    gaps = np.diff(heights)
    median = float(np.median(gaps))
    steps = np.rint(gaps / median)
    is_whole = bool(
        (steps >= 1).all() and (abs(gaps - steps * median) <= _allowed(steps, median)).all()
    )
    distance = float(gaps.sum() / steps.sum()) if is_whole else float(gaps.min())
    widest = int(gaps.argmax())
    if gaps[widest] > (MOST_INTERPOLATED + 0.5) * max(distance, median):
        raise GeometryError(
            f"{gaps[widest]:.3f} mm lie between SOP Instance UID {names[widest]}, "
            f"{names[widest + 1]}, and {median:.3f} mm between others: too wide a gap to interpolate"
        )
    if is_whole:
        places = np.concatenate([[0.0], np.cumsum(steps)])
        return Line(distance, places, (_missing(steps),))
    count = round(float(heights[-1] - heights[0]) / distance)
    distance = float(heights[-1] - heights[0]) / count
    problem = Problem(
        SLICES_UNEVEN,
        f"Slices are {gaps.min():.2f} to {gaps.max():.2f} mm apart; they were resampled to "
        f"{count + 1} slices {distance:.2f} mm apart.",
    )
    return Line(distance, (heights - heights[0]) / distance, (problem,))


def _allowed(steps: NDArray[np.float64], median: float) -> NDArray[np.float64]:
    return np.asarray(tolerance_mm(median) * np.maximum(steps, 1))


def _missing(steps: NDArray[np.float64]) -> Problem:
    missing = int(steps.sum() - steps.size)
    return Problem(
        SLICES_MISSING,
        f"{missing} of {int(steps.sum()) + 1} slices are missing; they were interpolated between "
        "their neighbours for the analysis and carry no result.",
    )
