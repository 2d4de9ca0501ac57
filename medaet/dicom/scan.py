"""A scan over the elements of a data set of any size, through a window: nothing is believed, nothing recurses.

What is passed over is not read, so a data set of gigabytes costs a few reads and one window of memory.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from medaet.dicom.walk import LONG_VRS, MAXIMUM_DEPTH, SHORT_VRS, UNDEFINED_LENGTH, is_vr
from medaet.errors import InstanceError

WINDOW_BYTES = 64 * 1024
GLANCE_BYTES = 4096
"""What is read behind a value that was passed over: often the next thing is one more such value."""

MAXIMUM_ELEMENTS = 1_000_000
MAXIMUM_INFLATED_BYTES = 256 * 1024 * 1024
LONGEST_VALUE_BYTES = 4096

Read = Callable[[int, int], bytes]
"""Returns so many bytes from an offset on, or what there is of them."""

PIXEL_DATA = 0x7FE00010
_ITEM_GROUP = 0xFFFE
_DELIMITERS = frozenset({0xFFFEE00D, 0xFFFEE0DD})
_LITTLE = (struct.Struct("<HHI"), struct.Struct("<H"), struct.Struct("<I"))
_BIG = (struct.Struct(">HHI"), struct.Struct(">H"), struct.Struct(">I"))
_EXPLICIT = struct.Struct("<I2sH")
_LONG_LENGTH = struct.Struct("<I")
_PIXEL_GROUP = PIXEL_DATA >> 16


class Bytes(Protocol):
    """Where a data set comes from, from its beginning to its end."""

    def take(self, skipped: int, wanted: int) -> bytes:
        """Return up to `wanted` bytes behind `skipped` ones; fewer only at the end.

        Raises:
            InstanceError: the data set ends before.
        """
        ...


class Stored:
    """A data set that lies in a file, between two offsets."""

    def __init__(self, read: Read, start: int, end: int) -> None:
        self._read, self._at, self._end = read, start, end

    def take(self, skipped: int, wanted: int) -> bytes:
        """Return the next bytes (see Bytes)."""
        self._at += skipped
        if self._at > self._end:
            raise cut_short()
        content = self._read(self._at, min(wanted, self._end - self._at))
        self._at += len(content)
        return content


class Deflated:
    """A data set that inflates as it is taken (PS3.5 §A.5), up to a limit, in little memory."""

    def __init__(self, source: Bytes) -> None:
        self._source = source
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._left = MAXIMUM_INFLATED_BYTES

    def take(self, skipped: int, wanted: int) -> bytes:
        """Return the next bytes (see Bytes)."""
        while skipped:
            passed = len(self._inflated(min(skipped, WINDOW_BYTES)))
            if not passed:
                raise cut_short()
            skipped -= passed
        return self._inflated(wanted)

    def _inflated(self, wanted: int) -> bytes:
        found = b""
        while len(found) < wanted and not self._inflater.eof:
            deflated = self._inflater.unconsumed_tail or self._source.take(0, WINDOW_BYTES)
            if not deflated:
                raise cut_short()
            try:
                found += self._inflater.decompress(deflated, wanted - len(found))
            except zlib.error as error:
                raise InstanceError(
                    "the deflated data set is damaged; the sender should send it again"
                ) from error
        self._left -= len(found)
        if self._left < 0:
            raise InstanceError(
                f"the deflated data set inflates to more than {MAXIMUM_INFLATED_BYTES} bytes; "
                "send it in another transfer syntax"
            )
        return found


class Scan:
    """Steps from element to element, keeps the values that are wanted, and notes where the pixel data lies.

    Args:
        source: The data set.
        wanted: Tags of what to keep, and under which names; values longer than `LONGEST_VALUE_BYTES` are cut.
        is_implicit: Whether VRs are left out.
        is_big_endian: The byte order.
    """

    def __init__(
        self,
        source: Bytes,
        wanted: Mapping[int, str],
        *,
        is_implicit: bool | None = None,
        is_big_endian: bool = False,
    ) -> None:
        self.values: dict[str, bytes] = {}
        self.pixel_offset: int | None = None
        self.pixel_length = 0
        self.pixel_vr = b""
        self.size_bytes = 0
        self._source = source
        self._wanted = wanted
        self._swapped = {(tag & 0xFFFF) << 16 | tag >> 16: name for tag, name in wanted.items()}
        self._structs = _BIG if is_big_endian else _LITTLE
        self._window = source.take(0, WINDOW_BYTES)
        self._base = self._at = 0
        self._levels: list[bool] = []
        self._left = MAXIMUM_ELEMENTS
        vr = self._window[4:6]
        self._is_implicit = not is_vr(vr) if vr else bool(is_implicit)
        self._is_usual = not (self._is_implicit or is_big_endian)

    def run(self) -> None:
        """Go to the end.

        Raises:
            InstanceError: the bytes end within an element, or there are too many or too deep ones.

        Source:
            PS3.5 §7.1, §7.5, §A.4.
        """
        while True:
            if self._is_usual and not self._levels:
                self._step_usual()
            if self._is_at_end():
                self.size_bytes = self._base + self._at
                return
            self._step()

    def _step_usual(self) -> None:
        """Step over as many plain elements of explicit VR little endian as the window holds."""
        window, at, left, name_of = self._window, self._at, self._left, self._swapped.get
        header, last = _EXPLICIT.unpack_from, len(window) - 12
        while at <= last and left:
            tag, vr, length = header(window, at)
            behind = at + 8
            if vr not in SHORT_VRS:
                length = _LONG_LENGTH.unpack_from(window, behind)[0]
                behind += 4
                if vr not in LONG_VRS or length == UNDEFINED_LENGTH or tag & 0xFFFF == _PIXEL_GROUP:
                    break
            name = name_of(tag)
            if name is not None:
                if behind + length > len(window):
                    break
                self.values[name] = window[behind : behind + min(length, LONGEST_VALUE_BYTES)]
            at = behind + length
            left -= 1
        self._at, self._left = at, left

    def _step(self) -> None:
        """Step over one element, into one of undefined length, or out of one that ends."""
        levels = self._levels
        is_implicit = levels[-1] if levels else self._is_implicit
        tag, vr, length = self._enter(is_implicit=is_implicit)
        if levels and tag in _DELIMITERS:
            levels.pop()
            return
        if not levels:
            self._note(tag, vr, length)
        if length != UNDEFINED_LENGTH:
            self._at += length
        elif len(levels) == MAXIMUM_DEPTH:
            raise InstanceError(f"sequences are nested deeper than {MAXIMUM_DEPTH} levels")
        else:
            levels.append(is_implicit or vr == b"UN" or tag == PIXEL_DATA)

    def _note(self, tag: int, vr: bytes, length: int) -> None:
        """Keep the value of an element of the data set itself, if it is wanted."""
        if tag == PIXEL_DATA:
            self.pixel_offset = self._base + self._at
            self.pixel_length, self.pixel_vr = length, vr
            return
        name = self._wanted.get(tag)
        if name is None:
            return
        size = 0 if length == UNDEFINED_LENGTH else min(length, LONGEST_VALUE_BYTES)
        self._need(size)
        self.values[name] = self._window[self._at : self._at + size]

    def _enter(self, *, is_implicit: bool) -> tuple[int, bytes, int]:
        """Move to the value of the element here; return its tag, its VR, empty when implicit, and its length."""
        self._left -= 1
        if self._left < 0:
            raise InstanceError(f"the instance holds more than {MAXIMUM_ELEMENTS} elements")
        self._need(8)
        whole, short, long = self._structs
        window, at = self._window, self._at
        group, number, length = whole.unpack_from(window, at)
        self._at += 8
        vr = b"" if is_implicit or group == _ITEM_GROUP else window[at + 4 : at + 6]
        if is_vr(vr):
            length = short.unpack_from(window, at + 6)[0]
            if vr in LONG_VRS or (length == 0 and vr not in SHORT_VRS):
                self._need(4)
                length = long.unpack_from(self._window, self._at)[0]
                self._at += 4
        return group << 16 | number, vr, length

    def _need(self, count: int) -> None:
        """Have so many bytes from here on in the window.

        Raises:
            InstanceError: the data set ends before.
        """
        if self._at + count > len(self._window):
            self._slide()
            if count > len(self._window):
                raise cut_short()

    def _slide(self) -> None:
        """Let the window begin here."""
        rest = self._window[self._at :]
        skipped = max(self._at - len(self._window), 0)
        self._window = rest + self._source.take(skipped, GLANCE_BYTES if skipped else WINDOW_BYTES)
        self._base += self._at
        self._at = 0

    def _is_at_end(self) -> bool:
        """Whether nothing but padding is left."""
        if self._at + 8 <= len(self._window):
            return False
        self._slide()
        if len(self._window) >= 8 or any(self._window):
            return False
        if self._levels:
            raise cut_short()
        return True


def cut_short() -> InstanceError:
    """Return the error for a data set that ends before its last element does."""
    return InstanceError("the instance is cut short; the sender should send it again")
