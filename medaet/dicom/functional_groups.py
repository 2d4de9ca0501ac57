"""Functional groups (PS3.3 §C.7.6.16): what each frame of a multi-frame image says of itself."""

from collections.abc import Iterator
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
"""The groups that are read; every other one is stepped over."""

_MACROS = frozenset(tag_for_keyword(keyword) for keyword in MACROS)
_ITEM = 0xFFFEE000
_DELIMITERS = frozenset({0xFFFEE00D, 0xFFFEE0DD})

Values = dict[str, bytes]


def frame_elements(elements: Elements) -> list[Elements]:
    """Return the elements of each frame: those of the instance, then the shared groups', then its own.

    Raises:
        InstanceError: the groups end early, or hold something else than items.
    """
    values = dict(elements.values)
    for item in _groups(elements, elements.shared):
        values.update(item)
    return [
        replace(elements, content=b"", values={**values, **own})
        for own in _groups(elements, elements.per_frame)
    ]


def _groups(elements: Elements, sequence: SequenceElement | None) -> Iterator[Values]:
    """Yield the wanted values of each item of one of the two sequences."""
    if sequence is None:
        return
    walk = Walk(elements.content, at=sequence.offset, size_bytes=len(elements.content))
    walk.is_big_endian = elements.byte_order == "big"
    for end in _items(walk, sequence.length):
        yield _macros(walk, end, is_implicit=sequence.is_implicit)


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


def _macros(walk: Walk, end: float, *, is_implicit: bool) -> Values:
    """Read the groups of one frame, or the shared ones."""
    values: Values = {}
    while walk.at < end:
        tag, vr, length = walk.enter(is_implicit=is_implicit)
        if tag in _DELIMITERS:
            break
        inner = is_implicit or vr == b"UN"
        if tag in _MACROS:
            for item_end in _items(walk, length):
                _attributes(walk, item_end, values, is_implicit=inner)
        else:
            _skip(walk, length, is_implicit=inner)
    return values


def _attributes(walk: Walk, end: float, values: Values, *, is_implicit: bool) -> None:
    """Read the attributes of one group."""
    while walk.at < end:
        tag, vr, length = walk.enter(is_implicit=is_implicit)
        if tag in _DELIMITERS:
            return
        keyword = KEYWORD_OF.get(tag)
        if keyword is None or length == UNDEFINED_LENGTH:
            _skip(walk, length, is_implicit=is_implicit or vr == b"UN")
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
