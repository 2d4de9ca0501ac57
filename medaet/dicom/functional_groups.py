"""Functional groups (PS3.3 §C.7.6.16): what each frame of a multi-frame image says of itself."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydicom.datadict import tag_for_keyword

from medaet.dicom.values import KEYWORD_OF, Elements, SequenceElement
from medaet.dicom.walk import UNDEFINED_LENGTH, Walk
from medaet.errors import InstanceError

MACROS = (
    *("PixelMeasuresSequence", "FrameContentSequence", "PlanePositionSequence"),
    *("PlaneOrientationSequence", "PixelValueTransformationSequence", "TemporalPositionSequence"),
    *("CardiacSynchronizationSequence", "CTImageFrameTypeSequence", "MRImageFrameTypeSequence"),
    *("CTReconstructionSequence", "CTXRayDetailsSequence", "MREchoSequence", "MRDiffusionSequence"),
)
"""The groups of an image that are read; every other one is stepped over."""

RESULT_MACROS = (
    *("PixelMeasuresSequence", "FrameContentSequence", "PlanePositionSequence"),
    *("PlaneOrientationSequence", "DerivationImageSequence", "SourceImageSequence"),
    *("SegmentIdentificationSequence",),
)
"""The groups of a segmentation or a map that are read, and the sequence inside one of them that is."""

DEEPEST = 4
_ITEM = 0xFFFEE000
_DELIMITERS = frozenset({0xFFFEE00D, 0xFFFEE0DD})

Values = dict[str, bytes]
Tags = frozenset[int | None]


def frame_elements(elements: Elements, macros: Sequence[str] = MACROS) -> list[Elements]:
    """Return the elements of each frame: those of the instance, then the shared groups', then its own.

    Args:
        elements: Of the instance, with its content.
        macros: Keywords of the sequences to read.

    Raises:
        InstanceError: the groups end early, or hold something else than items.
    """
    wanted = frozenset(tag_for_keyword(keyword) for keyword in macros)
    values = dict(elements.values)
    for item in _groups(elements, elements.shared, wanted):
        values.update(item)
    return [
        replace(elements, content=b"", values={**values, **own})
        for own in _groups(elements, elements.per_frame, wanted)
    ]


def _groups(elements: Elements, sequence: SequenceElement | None, wanted: Tags) -> Iterator[Values]:
    """Yield the wanted values of each item of one of the two sequences."""
    if sequence is None:
        return
    walk = Walk(elements.content, at=sequence.offset, size_bytes=len(elements.content))
    walk.is_big_endian = elements.byte_order == "big"
    for end in _items(walk, sequence.length):
        values: Values = {}
        _read(walk, end, values, wanted, is_implicit=sequence.is_implicit)
        yield values


def _items(walk: Walk, length: int) -> Iterator[float]:
    """Move to each item of a sequence, and yield where it ends; the caller must read it to its end."""
    end = _end(walk, length)
    while walk.at < end:
        tag, _, item_length = walk.enter(is_implicit=True)
        if tag in _DELIMITERS:
            return
        if tag != _ITEM:
            raise InstanceError("a sequence of functional groups holds something else than items")
        yield _end(walk, item_length)


def _read(
    walk: Walk, end: float, values: Values, wanted: Tags, *, is_implicit: bool, depth: int = 0
) -> None:
    """Read one item: its attributes, and those of the sequences in it that are wanted."""
    if depth > DEEPEST:
        raise InstanceError(f"functional groups are nested deeper than {DEEPEST} levels")
    while walk.at < end:
        tag, vr, length = walk.enter(is_implicit=is_implicit)
        if tag in _DELIMITERS:
            return
        inner = is_implicit or vr == b"UN"
        keyword = KEYWORD_OF.get(tag)
        if tag in wanted:
            for item_end in _items(walk, length):
                _read(walk, item_end, values, wanted, is_implicit=inner, depth=depth + 1)
        elif keyword is None or length == UNDEFINED_LENGTH:
            _skip(walk, length, is_implicit=inner)
        else:
            values[keyword] = walk.value(length)


def _skip(walk: Walk, length: int, *, is_implicit: bool) -> None:
    if length == UNDEFINED_LENGTH:
        walk.skip_undefined(is_implicit=is_implicit)
    else:
        walk.at += length


def _end(walk: Walk, length: int) -> float:
    """Return where a value ends; one of undefined length goes on to its delimiter."""
    return float("inf") if length == UNDEFINED_LENGTH else walk.at + length
