"""Detections and classifications: what an analysis found without drawing it, a box around it or only a word."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.codes import MORPHOLOGIC_ABNORMALITY, Code
from medaet.errors import FindingsError

MAXIMUM_LABEL_LENGTH = 64
"""As that of a segment: both become Tracking Identifiers."""

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A box on the grid of an input, its edges along the grid's axes.

    Attributes:
        low: Its lowest (slice, row, column) in voxels; 0 is the centre of the first voxel, and 2.5 lies between two.
        high: Its highest.
    """

    low: Triple
    high: Triple

    def __post_init__(self) -> None:
        if len(self.low) != 3 or len(self.high) != 3:
            raise FindingsError("a box has three lowest and three highest places")
        if not all(math.isfinite(place) for place in (*self.low, *self.high)):
            raise FindingsError("a box reaches to a place that is not finite")
        if any(first >= last for first, last in zip(self.low, self.high, strict=True)):
            raise FindingsError(f"a box reaches from {self.low} to {self.high}, which is nothing")

    def corners(self) -> NDArray[np.float64]:
        """Return its corners (8, 3) as (slice, row, column): the last changes first, and low comes before high."""
        pairs = zip(self.low, self.high, strict=True)
        return np.stack(np.meshgrid(*pairs, indexing="ij"), axis=-1).reshape(8, 3)

    def corners_mm(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return its corners (8, 3) in mm, LPS+, on a grid with the affine of `Volume.affine`."""
        return np.asarray(self.corners()[:, ::-1] @ affine[:3, :3].T + affine[:3, 3])

    def overlaps(self, shape: Sequence[int]) -> bool:
        """Whether some of it lies on the voxels of a grid of this shape (slices, rows, columns)."""
        return all(
            last > -0.5 and first < length - 0.5
            for first, last, length in zip(self.low, self.high, shape, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a network says of one box.

    Attributes:
        box: On the grid of the input.
        score: From 0 to 1.
        number: Of the class.
    """

    box: Box
    score: float
    number: int


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing that was found, and the box around it.

    Attributes:
        label: What a person reads, such as "Nodule 1"; unique within the findings, at most 64 characters.
        box: Where it is.
        code: What it is.
        score: How certain that is, from 0 to 1.
        category: What sort of thing it is (PS3.16 CID 7150).
        modifier: A refinement of `code`, such as its laterality (PS3.16 CID 244).
        anatomic_region: Where it lies, when `code` does not say it.
        role: The input on whose grid the box lies; None when there is only one input.
    """

    label: str
    box: Box
    code: Code
    score: float
    category: Code = MORPHOLOGIC_ABNORMALITY
    modifier: Code | None = None
    anatomic_region: Code | None = None
    role: str | None = None

    def __post_init__(self) -> None:
        check_label(self.label)
        check_probability(self.label, self.score)

    def with_role(self, role: str) -> "Detection":
        """Return the same on the grid of a named input."""
        return replace(self, role=role)


@dataclass(frozen=True, slots=True)
class Classification:
    """Whether the inputs as a whole show something.

    Attributes:
        label: What a person reads; unique within the findings, at most 64 characters.
        code: What was looked for.
        present: Whether it was found.
        probability: How likely it is there, from 0 to 1; None where nothing says it.
        category: What sort of thing it is (PS3.16 CID 7150).
        modifier: A refinement of `code`, such as its laterality (PS3.16 CID 244).
        anatomic_region: Where it was looked for, when `code` does not say it.
    """

    label: str
    code: Code
    present: bool
    probability: float | None = None
    category: Code = MORPHOLOGIC_ABNORMALITY
    modifier: Code | None = None
    anatomic_region: Code | None = None

    def __post_init__(self) -> None:
        check_label(self.label)
        if self.probability is not None:
            check_probability(self.label, self.probability)


def check_label(label: str) -> None:
    """Refuse a label that cannot be written.

    Raises:
        FindingsError: it is empty or too long.
    """
    if not 0 < len(label.strip()) <= MAXIMUM_LABEL_LENGTH:
        raise FindingsError(f"a label takes 1 to {MAXIMUM_LABEL_LENGTH} characters, got {label!r}")


def check_probability(label: str, value: float) -> None:
    """Refuse what is no probability.

    Raises:
        FindingsError: it is not between 0 and 1.
    """
    if not 0 <= value <= 1:
        raise FindingsError(f"{label!r}: a probability lies between 0 and 1, got {value}")
