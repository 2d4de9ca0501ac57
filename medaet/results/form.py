"""The forms of a segmentation: bits, label map or probabilities, in one object or in several."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from medaet.plugin.mask import Label
from medaet.plugin.segment import Segment
from medaet.results.source import SourceSeries


class Kind(StrEnum):
    """Segmentation Type (PS3.3 §C.8.20.2.3)."""

    BINARY = "BINARY"
    LABELMAP = "LABELMAP"
    FRACTIONAL = "FRACTIONAL"


@dataclass(frozen=True, slots=True)
class Form:
    """How segments are encoded.

    Attributes:
        kind: As bits, as numbers of a label map, or as probabilities.
        compressed: Whether a label map is compressed (JPEG-LS, lossless); the other kinds never are.
        empty_frames: Whether slices without any voxel get frames too: some viewers count them.
        maximum_frames: How many frames one object may have; segments are distributed over several objects. A segment
            that has more by itself gets an object of its own.
    """

    kind: Kind = Kind.BINARY
    compressed: bool = True
    empty_frames: bool = False
    maximum_frames: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The segments of one object, numbered from 1 in this order.

    Attributes:
        number: Of the object among those of its series, from 1.
    """

    segments: Sequence[Segment]
    number: int = 1


def parts(segments: Sequence[Segment], series: SourceSeries, form: Form) -> list[Part]:
    """Distribute segments over objects so that none has more frames than it may."""
    if form.maximum_frames is None or form.kind is Kind.LABELMAP:
        return [Part(segments)] if segments else []
    found: list[list[Segment]] = []
    left = 0
    for segment in segments:
        needed = len(planes_of(segment, series, form))
        if needed > left or not found:
            found.append([])
            left = form.maximum_frames
        found[-1].append(segment)
        left -= needed
    return [Part(tuple(one), number) for number, one in enumerate(found, 1)]


def overlap(segments: Sequence[Segment]) -> bool:
    """Tell whether a voxel belongs to more than one segment."""
    masks = [one.voxels for one in segments]
    labels = [one for one in masks if isinstance(one, Label)]
    if len(labels) == len(masks) and len({id(one.map) for one in labels}) == 1:
        numbers = [number for one in labels for number in one.numbers]
        if len(set(numbers)) == len(numbers):
            return False
    slices = segments[0].voxels.shape[0] if segments else 0
    for number in range(slices):
        held = [one for one in segments if one.voxels.counts[number]]
        total = sum(int(one.voxels.counts[number]) for one in held)
        if len(held) > 1 and total > int(np.count_nonzero(_joined(held, number))):
            return True
    return False


def planes_of(segment: Segment, series: SourceSeries, form: Form) -> list[int]:
    """Return the planes of the source, by index, on which a segment gets a frame."""
    slices = series.volume.slices
    if form.empty_frames:
        return list(range(len(slices)))
    if form.kind is Kind.FRACTIONAL:
        assert segment.probability is not None
        return [k for k, place in enumerate(slices) if segment.probability[place].any()]
    counts = segment.voxels.counts
    return [k for k, place in enumerate(slices) if counts[place]]


def _joined(segments: Sequence[Segment], place: int) -> NDArray[np.bool_]:
    joined = segments[0].voxels.plane(place).copy()
    for segment in segments[1:]:
        joined |= segment.voxels.plane(place)
    return joined
