"""Encapsulated pixel data (PS3.5 §A.4): where each compressed frame lies."""

import struct
from collections.abc import Callable, Sequence

from medaet.errors import InstanceError

Read = Callable[[int, int], bytes]
"""Returns so many bytes from an offset on, or what there is of them."""

Fragment = tuple[int, int]
"""Offset and length in bytes."""

_ITEM = 0xE000FFFE  # group and element as one little endian number
_HEADER = struct.Struct("<II")
_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP")
"""How JPEG, JPEG 2000 and its file format begin: a fragment that begins so begins a frame."""


def frame_fragments(read: Read, offset: int, frames: int) -> list[tuple[Fragment, ...]]:
    """Find the fragments of each frame.

    Args:
        read: Reads from the file or data set.
        offset: Where the value of the pixel data begins.
        frames: How many frames there are.

    Raises:
        InstanceError: the fragments cannot be told apart, or end early.
    """
    items = _items(read, offset)
    if not items:
        raise InstanceError("the encapsulated pixel data has no offset table; send it again")
    (table, length), fragments = items[0], items[1:]
    if len(fragments) == frames:
        return [(one,) for one in fragments]
    if frames == 1 and fragments:
        return [tuple(fragments)]
    first = table + length
    begins = struct.unpack(f"<{length // 4}I", read(table, length // 4 * 4))
    starts = {first + begin + _HEADER.size for begin in begins}
    if len(starts) != frames:
        starts = {at for at, size in fragments if read(at, min(size, 8)).startswith(_STARTS)}
    found = _grouped(fragments, starts)
    if len(found) != frames:
        raise InstanceError(
            f"the {len(fragments)} fragments of compressed pixel data cannot be told apart into "
            f"{frames} frames; send the series uncompressed"
        )
    return found


def _items(read: Read, offset: int) -> list[Fragment]:
    items: list[Fragment] = []
    while True:
        head = read(offset, _HEADER.size)
        if len(head) < _HEADER.size:
            raise InstanceError("the compressed pixel data ends early; send the instance again")
        tag, length = _HEADER.unpack(head)
        if tag != _ITEM:
            return items
        items.append((offset + _HEADER.size, length))
        offset += _HEADER.size + length


def _grouped(fragments: Sequence[Fragment], starts: set[int]) -> list[tuple[Fragment, ...]]:
    """Join each fragment that begins no frame to the one before it."""
    frames: list[list[Fragment]] = []
    for fragment in fragments:
        if fragment[0] in starts or not frames:
            frames.append([])
        frames[-1].append(fragment)
    return [tuple(frame) for frame in frames]
