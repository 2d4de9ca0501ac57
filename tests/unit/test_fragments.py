"""Fragments of encapsulated pixel data, put together into frames."""

import struct

import pytest

from medaet.dicom.fragments import Fragment, frame_fragments
from medaet.errors import InstanceError


def _item(content: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(content)) + content


def _found(table: bytes, fragments: list[bytes], frames: int) -> list[bytes]:
    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    value = b"before" + b"".join(map(_item, (table, *fragments))) + end

    def read(offset: int, length: int) -> bytes:
        return value[offset : offset + length]

    def joined(parts: tuple[Fragment, ...]) -> bytes:
        return b"".join(read(*part) for part in parts)

    return [joined(parts) for parts in frame_fragments(read, len(b"before"), frames)]


def test_each_fragment_is_a_frame_when_there_are_as_many() -> None:
    assert _found(b"", [b"ab", b"cd"], 2) == [b"ab", b"cd"]


def test_all_fragments_are_one_frame_when_there_is_one() -> None:
    assert _found(b"", [b"ab", b"cd", b"ef"], 1) == [b"abcdef"]


def test_the_offset_table_says_where_frames_begin() -> None:
    table = struct.pack("<II", 0, 2 * 10)  # two items of eight bytes and two, then the third
    assert _found(table, [b"ab", b"cd", b"ef"], 2) == [b"abcd", b"ef"]


def test_codestreams_say_where_frames_begin_without_an_offset_table() -> None:
    fragments = [b"\xff\xd8ab", b"cd", b"\xff\xd8ef"]
    assert _found(b"", fragments, 2) == [b"\xff\xd8abcd", b"\xff\xd8ef"]


def test_fragments_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(InstanceError, match=r"3 fragments .* cannot be told apart into 2 frames"):
        _found(b"", [b"ab", b"cd", b"ef"], 2)


def test_fragments_that_end_early_are_refused() -> None:
    with pytest.raises(InstanceError, match="ends early"):
        frame_fragments(lambda offset, length: b"", 0, 1)


def test_pixel_data_that_is_not_encapsulated_is_refused() -> None:
    with pytest.raises(InstanceError, match="no offset table"):
        frame_fragments(lambda offset, length: bytes(length), 0, 1)
