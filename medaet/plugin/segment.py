"""Segments: labelled regions that an analysis found, on the grid of an input series."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medaet.dicom.codes import ANATOMICAL_STRUCTURE, Code
from medaet.dicom.structures import Structure
from medaet.errors import FindingsError
from medaet.plugin.mask import BooleanMask, BoxMask, Label, LabelMap, Mask

MAXIMUM_LABEL_LENGTH = 64
"""Segment Label (0062,0005) has value representation LO."""

MAXIMUM_PROBABILITY = 255


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One labelled region on the grid of an input series.

    Attributes:
        label: What a person reads; unique within the findings, at most 64 characters.
        voxels: Where it is; `mask` is all of it as a boolean array (slice, row, column).
        code: What it is (Segmented Property Type).
        category: What sort of thing it is (Segmented Property Category, PS3.16 CID 7150).
        modifier: A refinement of `code`, such as its laterality (PS3.16 CID 244).
        anatomic_region: Where it lies, when `code` does not say it (for a tumour, say).
        role: The input whose grid the mask lies on; None when there is only one input.
        colour: Recommended display colour, 0 to 255 each of red, green, blue; None for the one of `code`.
        probability: How likely each voxel (slice, row, column) belongs to it, 0 to 255 for none to certain; makes a
            fractional segmentation beside the binary one. None without.
        followed: What it is one look at, where the findings show the same thing on several inputs: segments of one
            name here get one Tracking UID. Empty for the label.
    """

    label: str
    voxels: Mask
    code: Code
    category: Code = ANATOMICAL_STRUCTURE
    modifier: Code | None = None
    anatomic_region: Code | None = None
    role: str | None = None
    colour: tuple[int, int, int] | None = None
    probability: NDArray[np.uint8] | None = None
    followed: str = ""

    def __init__(  # noqa: PLR0913 -- one argument for each attribute; a mask of any kind is accepted and converted
        self,
        label: str,
        mask: ArrayLike | Mask,
        code: Code,
        *,
        category: Code = ANATOMICAL_STRUCTURE,
        modifier: Code | None = None,
        anatomic_region: Code | None = None,
        role: str | None = None,
        colour: tuple[int, int, int] | None = None,
        probability: ArrayLike | None = None,
        followed: str = "",
    ) -> None:
        """Check and convert what an analysis found.

        Args:
            label: See above.
            mask: (slice, row, column), of the shape of the input volume: a boolean array; a tensor or an array of
                numbers, taken as "not zero"; or numbers of a label map, see `LabelMap.mask` and `segments_of`.
            code: See above, like all that follow.
            category: See above.
            modifier: See above.
            anatomic_region: See above.
            role: See above.
            colour: See above.
            probability: (slice, row, column), numbers from 0 to 1; or whole numbers from 0 to 255.
            followed: See above.

        Raises:
            FindingsError: a value cannot be right.
        """
        if not 0 < len(label.strip()) <= MAXIMUM_LABEL_LENGTH:
            raise FindingsError(f"a segment label takes 1 to 64 characters, got {label!r}")
        if colour is not None and not all(0 <= part <= 255 for part in colour):
            raise FindingsError(f"segment {label!r}: a colour has parts from 0 to 255")
        voxels = (
            mask
            if isinstance(mask, BooleanMask | BoxMask | Label)
            else _boolean(label, np.asarray(mask))
        )
        for name, value in (
            ("label", label.strip()),
            ("voxels", voxels),
            ("code", code),
            ("category", category),
            ("modifier", modifier),
            ("anatomic_region", anatomic_region),
            ("role", role),
            ("colour", colour),
            ("probability", _probability(label, probability, voxels.shape)),
            ("followed", followed.strip()),
        ):
            object.__setattr__(self, name, value)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """All of it, (slice, row, column); made anew each time where it is one number of a label map."""
        return self.voxels.whole()

    @property
    def count(self) -> int:
        """Number of voxels."""
        return int(self.voxels.counts.sum())

    def with_role(self, role: str) -> "Segment":
        """Return the same on the grid of a named input."""
        kept = {one.name: getattr(self, one.name) for one in fields(self)}
        return Segment(mask=kept.pop("voxels"), **{**kept, "role": role})


def segments_of(labels: ArrayLike, structures: Mapping[int, Structure]) -> list[Segment]:
    """Return the segments of a label map, without a boolean array for each of them.

    Args:
        labels: (slice, row, column), whole numbers; 0, and numbers that are not named, are nobody's.
        structures: What each number is.
    """
    label_map = LabelMap(labels)
    return [
        Segment(
            one.name,
            label_map.mask(number),
            one.code,
            category=one.category,
            modifier=one.modifier,
            anatomic_region=one.anatomic_region,
        )
        for number, one in structures.items()
    ]


def _boolean(label: str, array: NDArray[Any]) -> BooleanMask:
    if array.ndim != 3:
        raise FindingsError(f"segment {label!r}: a mask has 3 axes, got {array.ndim}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FindingsError(f"segment {label!r}: the mask holds values that are not finite")
    return BooleanMask(array if array.dtype == np.bool_ else array != 0)


def _probability(
    label: str, given: ArrayLike | None, shape: tuple[int, int, int]
) -> NDArray[np.uint8] | None:
    if given is None:
        return None
    array = np.asarray(given)
    if array.shape != shape:
        raise FindingsError(
            f"segment {label!r}: its probability has shape {array.shape}, its mask {shape}"
        )
    if array.dtype == np.uint8:
        return array
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if not 0 <= low <= high <= 1:
        raise FindingsError(f"segment {label!r}: a probability lies between 0 and 1")
    return np.asarray(np.rint(array * MAXIMUM_PROBABILITY), dtype=np.uint8)
