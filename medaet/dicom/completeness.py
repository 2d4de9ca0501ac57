"""Whether a series looks whole, from what is kept of its images: announced numbers, and slices without a gap."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.spacing import same_position, tolerance_mm

Attributes = Mapping[str, str | int]
"""Attributes of one image by PS3.6 keyword, as the intake keeps them."""

FEWEST_SLICES = 3
"""With two there is one distance, and nothing to compare it with."""

COSINE_DECIMALS = 2


class Evidence(NamedTuple):
    """What speaks for a series being whole, and what against; both for people, and empty when nothing does."""

    complete: str = ""
    incomplete: str = ""


NOTHING = Evidence()


def announced(images: Sequence[Attributes], at_source: int | None = None) -> Evidence:
    """Compare the number of instances with Number of Series Related Instances (0020,1209).

    Args:
        images: Of every instance of the series.
        at_source: What the source answered when it was asked; None when it was not.
    """
    wanted = at_source or max(
        (_whole(one, "NumberOfSeriesRelatedInstances") for one in images), default=0
    )
    if not wanted:
        return NOTHING
    missing = wanted - len(images)
    if missing > 0:
        return Evidence(incomplete=f"{missing} of {wanted} announced instances are missing")
    return Evidence(complete=f"all {wanted} announced instances are there")


def acquisitions(images: Sequence[Attributes]) -> Evidence:
    """Compare the images of each acquisition with Images in Acquisition (0020,1002).

    An acquisition may be spread over several series, so that fewer images are a reason to wait, no more.
    """
    wanted: dict[str, int] = {}
    found: Counter[str] = Counter()
    for one in images:
        number = str(one.get("AcquisitionNumber", ""))
        found[number] += 1
        wanted[number] = max(wanted.get(number, 0), _whole(one, "ImagesInAcquisition"))
    missing = sum(max(0, count - found[number]) for number, count in wanted.items())
    if missing:
        return Evidence(
            incomplete=f"{missing} of {sum(wanted.values())} images of the acquisition are missing"
        )
    return NOTHING


def slices(images: Sequence[Attributes]) -> Evidence:
    """Look for gaps among the slices.

    Images of one orientation and size are looked at together. Where distances are no multiples of the usual one,
    nothing is said: such series exist. Neither is anything said of positions that repeat unequally often.

    Source:
        PS3.3 §C.7.6.2.1.1 for position and orientation.
    """
    frames = [_whole(one, "NumberOfFrames") for one in images]
    if len(images) == 1 and frames[0] > 1:
        return Evidence(complete=f"one instance of {frames[0]} frames")
    stacks = _stacks(images)
    found = [_gaps(heights) for heights in stacks]
    missing = sum(number for number in found if number)
    if missing:
        return Evidence(incomplete=f"{missing} slices are missing between others")
    if not found or None in found or sum(map(len, stacks)) < len(images):
        return NOTHING
    return Evidence(complete=f"{len(images)} slices without a gap")


def _stacks(images: Iterable[Attributes]) -> list[NDArray[np.float64]]:
    """Return the heights of the images along their normal, in mm, ascending, for each geometry."""
    stacks: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for one in images:
        cosines = _numbers(one, "ImageOrientationPatient", 6)
        position = _numbers(one, "ImagePositionPatient", 3)
        if cosines is not None and position is not None:
            key = (*np.round(cosines, COSINE_DECIMALS), one.get("Rows"), one.get("Columns"))
            stacks[key].append(float(position @ np.cross(cosines[:3], cosines[3:])))
    return [np.sort(np.array(heights)) for heights in stacks.values()]


def _gaps(heights: NDArray[np.float64]) -> int | None:
    """Count the slices that are missing between others; None when it cannot be told."""
    distances = np.diff(heights)
    repeated = same_position(distances)
    steps = distances[~repeated]
    places = np.concatenate([[0], np.cumsum(~repeated)])
    if len(steps) < FEWEST_SLICES - 1 or len(set(Counter(places.tolist()).values())) > 1:
        return None
    usual = float(np.median(steps))
    multiples = np.maximum(np.rint(steps / usual), 1)
    if (abs(steps - multiples * usual) > tolerance_mm(usual) * multiples).any():
        return None
    return int(multiples.sum() - multiples.size)


def _whole(image: Attributes, keyword: str) -> int:
    with contextlib.suppress(ValueError):
        return max(0, int(image.get(keyword, 0)))
    return 0


def _numbers(image: Attributes, keyword: str, count: int) -> NDArray[np.float64] | None:
    with contextlib.suppress(ValueError):
        values = np.array([float(value) for value in str(image.get(keyword, "")).split("\\")])
        if len(values) == count and np.isfinite(values).all():
            return values
    return None
