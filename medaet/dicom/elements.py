"""The data elements of a Part 10 file (PS3.10 §7) that MedAET reads.

The receiver reads every instance a peer sends, so nothing here recurses, allocates by what a length field says, warns,
or raises anything but InstanceError; the time is proportional to the size.
"""

import os
import zlib
from pathlib import Path
from typing import Literal, TypedDict

from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from medaet.dicom.values import KEYWORD_OF, Elements, PixelElement, SequenceElement
from medaet.dicom.walk import UNDEFINED_LENGTH, HeadTooShortError, Walk, is_vr
from medaet.errors import InstanceError

HEAD_BYTES = 16 * 1024
"""Where the pixel data of a classic image begins, with few exceptions."""

HEAD_GROWTH = 16
"""By how much more is read each time when it does not: private blocks, functional groups of many frames."""

MAXIMUM_INFLATED_BYTES = 256 * 1024 * 1024
MAXIMUM_VALUE_BYTES = 4096

_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_META_KEYWORD_OF = {0x00020010: "TransferSyntaxUID"}
_META_GROUP = 0x0002
_META_BYTES = b"\x02\x00"
_FUNCTIONAL_GROUPS = 0x5200
_PIXEL_DATA = {0x7FE00010: "OW", 0x7FE00008: "OF", 0x7FE00009: "OD"}
_PREAMBLE_BYTES = 128
_DEFLATED = frozenset(f"1.2.840.10008.1.2.{end}" for end in ("1.99", "4.95", "4.205"))


def read_elements(content: bytes) -> Elements:
    """Read the elements of a whole Part 10 file.

    Raises:
        InstanceError: the bytes are no DICOM file, or end within an element; native pixel data that ends early is
            left to the caller.
    """
    return _read(content, len(content))


def read_head(path: Path) -> Elements:
    """Read the elements of a file, as a rule without its pixel data.

    Raises:
        InstanceError: the file cannot be read, is no DICOM file, or ends within an element.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _grown(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InstanceError(
            f"a file of the series cannot be read: {error.strerror or 'no reason given'}"
        ) from error


def _grown(descriptor: int, size_bytes: int) -> Elements:
    length = HEAD_BYTES
    while True:
        head = os.pread(descriptor, length, 0)
        try:
            return _read(head, size_bytes)
        except HeadTooShortError:
            if length >= size_bytes:
                raise InstanceError("the file became shorter while it was read") from None
            length = min(length * HEAD_GROWTH, size_bytes)


def _read(content: bytes, size_bytes: int) -> Elements:
    if content[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] != b"DICM":
        raise InstanceError("the bytes are no DICOM file: the prefix DICM is missing")
    walk = Walk(content, at=_PREAMBLE_BYTES + 4, size_bytes=size_bytes)
    syntax = _transfer_syntax(walk)
    if syntax in _DEFLATED:
        if len(content) < size_bytes:
            raise HeadTooShortError
        content = _inflated(content[walk.at :])
        walk = Walk(content, at=0, size_bytes=len(content))
    walk.is_big_endian = syntax == ExplicitVRBigEndian
    is_implicit = _is_implicit(walk, syntax)
    values, places = _data_set(walk, is_implicit=is_implicit)
    byte_order: Literal["little", "big"] = "big" if walk.is_big_endian else "little"
    return Elements(syntax, byte_order, values, content=content, **places)


class _Places(TypedDict):
    """What is not read, only found."""

    pixel_data: PixelElement | None
    shared: SequenceElement | None
    per_frame: SequenceElement | None


def _transfer_syntax(walk: Walk) -> str:
    """Read the file meta information, which is always explicit little endian, and move behind it."""
    found = walk.take(_META_KEYWORD_OF, below=_META_GROUP + 1, longest=MAXIMUM_VALUE_BYTES)
    syntax = found.get("TransferSyntaxUID", b"")
    while walk.content[walk.at : walk.at + 2] == _META_BYTES:
        tag, _, length = walk.enter(is_implicit=False)
        value = walk.value(length)
        if tag in _META_KEYWORD_OF:
            syntax = value
    return syntax.decode("ascii", "replace").strip(" \0")


def _is_implicit(walk: Walk, syntax: str) -> bool:
    """Look at the first element: some archives change the encoding and keep the transfer syntax."""
    vr = walk.content[walk.at + 4 : walk.at + 6]
    return not is_vr(vr) if vr else syntax == ImplicitVRLittleEndian


def _inflated(deflated: bytes) -> bytes:
    try:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
            deflated, MAXIMUM_INFLATED_BYTES + 1
        )
    except zlib.error as error:
        raise InstanceError(
            "the deflated data set is damaged; the sender should send it again"
        ) from error
    if len(content) > MAXIMUM_INFLATED_BYTES:
        raise InstanceError(
            f"the deflated data set inflates to more than {MAXIMUM_INFLATED_BYTES} bytes; "
            "send it in another transfer syntax"
        )
    return content


def _data_set(walk: Walk, *, is_implicit: bool) -> tuple[dict[str, bytes], _Places]:
    values: dict[str, bytes] = {}
    places = _Places(pixel_data=None, shared=None, per_frame=None)
    is_usual = not (is_implicit or walk.is_big_endian)
    while True:
        if is_usual:
            values.update(
                walk.take(KEYWORD_OF, below=_FUNCTIONAL_GROUPS, longest=MAXIMUM_VALUE_BYTES)
            )
        if walk.is_at_end:
            return values, places
        tag, vr, length = walk.enter(is_implicit=is_implicit)
        if tag in _PIXEL_DATA:
            name = (
                "OB" if vr == b"OB" else _PIXEL_DATA[tag]
            )  # OW is what implicit VR means (PS3.5 §A.1)
            places["pixel_data"] = _pixel_element(walk, name, length)
            return values, places
        if tag in (_SHARED, _PER_FRAME):
            _put_place(places, tag, SequenceElement(walk.at, length, is_implicit or vr == b"UN"))
        _step(walk, tag, length, values, is_implicit=is_implicit or vr == b"UN")


def _put_place(places: _Places, tag: int, place: SequenceElement) -> None:
    if tag == _SHARED:
        places["shared"] = place
    else:
        places["per_frame"] = place


def _step(
    walk: Walk, tag: int, length: int, values: dict[str, bytes], *, is_implicit: bool
) -> None:
    """Keep the value here if it is wanted, and move behind it."""
    keyword = KEYWORD_OF.get(tag)
    if length == UNDEFINED_LENGTH:
        walk.skip_undefined(is_implicit=is_implicit)
        values.update({keyword: b""} if keyword else {})
    elif keyword:
        values[keyword] = walk.value(length)[:MAXIMUM_VALUE_BYTES]
    else:
        walk.at += length


def _pixel_element(walk: Walk, name: str, length: int) -> PixelElement:
    element = PixelElement(name, walk.at, length, walk.size_bytes - walk.at)
    is_whole = len(walk.content) == walk.size_bytes
    if length == UNDEFINED_LENGTH and is_whole:
        walk.skip_undefined(is_implicit=True)
    return element
