"""A region that somebody drew on a series, as a mask on the grid of that series."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.codes import ANATOMICAL_STRUCTURE, TISSUE, Code

MAXIMUM_LABEL_LENGTH = 64
"""Segment Label (0062,0005) has value representation LO, and so have the labels of results."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One segment of a Segmentation, or one ROI of an RT Structure Set.

    Attributes:
        label: Segment Label or ROI Name; unique on its volume.
        mask: Boolean (slice, row, column), of the shape of the volume.
        code: What it is, as the object says; tissue when it does not.
        category: What sort of thing it is.
        anatomic_region: Where it lies, when the object says it.
        sop_instance_uid: The object it comes from.
        number: Segment Number or ROI Number.
        tracking_uid: Of a segment that was tracked: a correction carries that of what it corrects.
    """

    label: str
    mask: NDArray[np.bool_]
    code: Code = TISSUE
    category: Code = ANATOMICAL_STRUCTURE
    anatomic_region: Code | None = None
    sop_instance_uid: str = ""
    number: int = 0
    tracking_uid: str = ""


def distinct(regions: Iterable[Region]) -> tuple[Region, ...]:
    """Tell regions of the same label apart by a number behind it."""
    taken: set[str] = set()
    found = []
    for region in regions:
        label, count = _fitted(region.label), 1
        while label in taken:
            count += 1
            label = _fitted(region.label, f" ({count})")
        taken.add(label)
        found.append(replace(region, label=label))
    return tuple(found)


def _fitted(label: str, ending: str = "") -> str:
    words = " ".join(label.split()) or "Region"
    return words[: MAXIMUM_LABEL_LENGTH - len(ending)].rstrip() + ending
