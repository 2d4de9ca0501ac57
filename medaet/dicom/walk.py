"""A walk from data element to data element (PS3.5 §7.1) that trusts no length and never recurses."""

import contextlib
import struct
from collections.abc import Mapping

from medaet.errors import InstanceError

MAXIMUM_ELEMENTS = 5_000_000
MAXIMUM_DEPTH = 64
UNDEFINED_LENGTH = 0xFFFFFFFF

SHORT_VRS = frozenset(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO"),
        *(b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)
"""Value representations with a length of 16 bits."""

LONG_VRS = frozenset(
    (
        *(b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ"),
        *(b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"),
    )
)
"""Value representations with two reserved bytes and a length of 32 bits; future ones will be like them."""

_ITEM_GROUP = 0xFFFE
_DELIMITERS = frozenset({0xFFFEE00D, 0xFFFEE0DD})
_LITTLE = (struct.Struct("<HHI"), struct.Struct("<H"), struct.Struct("<I"))
_BIG = (struct.Struct(">HHI"), struct.Struct(">H"), struct.Struct(">I"))
_SHORT_ELEMENT = struct.Struct("<HH2sH")


class HeadTooShortError(Exception):
    """The element asked for lies behind the part of the file that was read."""


class Walk:
    """A position in a data set.

    Args:
        content: The data set, or what was read of its beginning.
        at: Where the walk starts, in bytes.
        size_bytes: Length of the whole file or data set that `content` begins.
    """

    def __init__(self, content: bytes, *, at: int, size_bytes: int) -> None:
        self.content = content
        self.at = at
        self.size_bytes = size_bytes
        self.is_big_endian = False
        self._left = MAXIMUM_ELEMENTS

    @property
    def is_at_end(self) -> bool:
        """Whether nothing but padding is left."""
        rest = self.content[self.at :] if self.at + 8 > self.size_bytes else b"more"
        return self.at <= self.size_bytes and not any(rest)

    def enter(self, *, is_implicit: bool) -> tuple[int, bytes, int]:
        """Move to the value of the element here.

        Returns:
            The tag, the VR (empty when it is implicit), and the length in bytes or `UNDEFINED_LENGTH`.

        Raises:
            InstanceError: the bytes end here, or there are too many elements.
            HeadTooShortError: the file goes on, but `content` does not.

        Source:
            PS3.5 §7.1.2; a VR that is none means that the writer forgot to write any.
        """
        whole, short, long = _BIG if self.is_big_endian else _LITTLE
        self._left -= 1
        if self._left < 0:
            raise InstanceError(f"the instance holds more than {MAXIMUM_ELEMENTS} elements")
        at = self.at
        try:
            group, number, length = whole.unpack_from(self.content, at)
            explicit = not is_implicit and group != _ITEM_GROUP
            vr = self.content[at + 4 : at + 6] if explicit else b""
            self.at = at + 8
            if is_vr(vr):
                length = short.unpack_from(self.content, at + 6)[0]
                if vr in LONG_VRS or (length == 0 and vr not in SHORT_VRS):
                    length = long.unpack_from(self.content, at + 8)[0]
                    self.at = at + 12
        except struct.error as error:
            raise self.cut_short() from error
        return group << 16 | number, vr, length

    def take(self, keywords: Mapping[int, str], *, below: int, longest: int) -> dict[str, bytes]:
        """Read explicit little endian elements up to the first that is none of the usual kind, quickly.

        It is the inner loop of every header. What it stops at, `enter` knows what to do with: sequences of undefined
        length, elements without a VR, or that end behind what was read.

        Args:
            keywords: What to keep, by tag.
            below: The first group to stop at.
            longest: Longer values are cut to this many bytes.

        Returns:
            Raw values by keyword.
        """
        values: dict[str, bytes] = {}
        content, at, left = self.content, self.at, self._left
        unpack, long, wanted = _SHORT_ELEMENT.unpack_from, _LITTLE[2].unpack_from, keywords.get
        size = len(content)
        with contextlib.suppress(struct.error):  # the bytes end here; `enter` says what that means
            for left in range(self._left, 0, -1):  # noqa: B007 -- what is left counts afterwards
                group, number, vr, length = unpack(content, at)
                start = at + 8
                if vr not in SHORT_VRS:
                    (length,) = long(content, start) if vr in LONG_VRS else (UNDEFINED_LENGTH,)
                    start += 4
                if group >= below or length == UNDEFINED_LENGTH:
                    break
                keyword = wanted(group << 16 | number)
                if keyword is not None:
                    if start + length > size:
                        break
                    values[keyword] = content[start : start + min(length, longest)]
                at = start + length
        self.at, self._left = at, left
        return values

    def skip_undefined(self, *, is_implicit: bool) -> None:
        """Move behind a value of undefined length, whatever is nested in it.

        Raises:
            InstanceError: it is nested too deep, or the bytes end before it does.
            HeadTooShortError: the file goes on, but `content` does not.

        Source:
            PS3.5 §7.5.2, §6.2.2 note 1, §A.4.
        """
        levels = [is_implicit]
        while levels:
            tag, vr, length = self.enter(is_implicit=levels[-1])
            if tag in _DELIMITERS:
                levels.pop()
            elif length != UNDEFINED_LENGTH:
                self.at += length
            elif len(levels) == MAXIMUM_DEPTH:
                raise InstanceError(f"sequences are nested deeper than {MAXIMUM_DEPTH} levels")
            else:
                levels.append(levels[-1] or vr == b"UN")

    def value(self, length: int) -> bytes:
        """Return the value here and move behind it.

        Raises:
            InstanceError: the bytes end before the value does.
            HeadTooShortError: the file goes on, but `content` does not.
        """
        start, self.at = self.at, self.at + length
        if self.at > len(self.content):
            raise self.cut_short()
        return self.content[start : self.at]

    def cut_short(self) -> Exception:
        """Return the error for an element that goes on behind the bytes there are."""
        if len(self.content) < self.size_bytes:
            return HeadTooShortError()
        return InstanceError("the instance is cut short; the sender should send it again")


def is_vr(text: bytes) -> bool:
    """Tell whether two bytes can be a value representation, known or not."""
    return len(text) == 2 and text.isalpha() and text.isupper()
