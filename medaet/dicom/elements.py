"""The data elements of a Part 10 file (PS3.10 §7) that MedAET reads.

The receiver reads every instance a peer sends, so nothing here recurses, allocates by what a length field says, warns,
or raises anything but InstanceError; the time is proportional to the size.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydicom.charset import CODES_TO_ENCODINGS, handled_encodings, python_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from medaet.dicom.walk import UNDEFINED_LENGTH, HeadTooShortError, Walk, is_vr
from medaet.errors import InstanceError

HEAD_BYTES = 64 * 1024
"""Where the pixel data of a classic image begins, with few exceptions."""

MAXIMUM_INFLATED_BYTES = 256 * 1024 * 1024
MAXIMUM_VALUE_BYTES = 4096

KEYWORDS = (
    *("SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality"),
    *("Manufacturer", "StudyDescription", "SeriesDescription", "ManufacturerModelName"),
    *("BodyPartExamined", "SliceThickness", "SpacingBetweenSlices", "ProtocolName"),
    *("StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "FrameOfReferenceUID"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("RescaleIntercept", "RescaleSlope", "ModalityLUTSequence"),
)
"""What is kept; every other element is stepped over."""

_KEYWORD_OF = {tag_for_keyword(keyword): keyword for keyword in KEYWORDS}
_TRANSFER_SYNTAX_UID = 0x00020010
_PIXEL_DATA = 0x7FE00010
_META_GROUP = b"\x02\x00"
_PREAMBLE_BYTES = 128
_DEFLATED = frozenset(f"1.2.840.10008.1.2.{end}" for end in ("1.99", "4.95", "4.205"))
_ESCAPED = re.compile(b"(\x1b[^\x1b]*)")


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data lies.

    Attributes:
        vr: "OB" or "OW".
        offset: First byte of the value, counted in the content it was found in.
        length: What the length field says, in bytes; `UNDEFINED_LENGTH` when the value is encapsulated.
        present: How many bytes there are from `offset` to the end.
    """

    vr: str
    offset: int
    length: int
    present: int


@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of one instance; its repr() holds nothing of the patient.

    Attributes:
        values: Raw values by PS3.6 keyword; what is longer than `MAXIMUM_VALUE_BYTES`, or a sequence, is cut.
        pixel_data: None when there is no Pixel Data (7FE0,0010).
        content: The file, or its head, or the inflated data set.
    """

    transfer_syntax_uid: str
    byte_order: Literal["little", "big"]
    values: Mapping[str, bytes] = field(repr=False)
    pixel_data: PixelElement | None
    content: bytes = field(repr=False)

    def text(self, keyword: str) -> str:
        """Return a value as printable text, "" when absent; several values stay joined by backslashes."""
        names = self.values.get("SpecificCharacterSet", b"").decode("ascii", "replace").split("\\")
        text = _decoded(self.values.get(keyword, b""), [name.strip(" \0") for name in names])
        return "".join(one if one.isprintable() else " " for one in text).strip()

    def integer(self, keyword: str, default: int | None = None) -> int:
        """Return a binary whole number without sign; `default` when absent or empty.

        Raises:
            InstanceError: the value is not one number, or is absent without a default.
        """
        raw = self.values.get(keyword, b"")
        if not raw and default is not None:
            return default
        if len(raw) not in (2, 4):
            raise InstanceError(f"{keyword} is not one whole number; the instance cannot be used")
        return int.from_bytes(raw, self.byte_order)

    def decimals(self, keyword: str) -> tuple[float, ...]:
        """Return the numbers of a decimal or integer string, none when absent.

        Raises:
            InstanceError: a part is not a finite number.
        """
        raw = self.values.get(keyword, b"").strip(b" \0")
        try:
            numbers = tuple(float(part) for part in raw.split(b"\\")) if raw else ()
        except ValueError as error:
            raise InstanceError(
                f"{keyword} holds something else than numbers; the instance cannot be used"
            ) from error
        if not all(abs(number) < float("inf") for number in numbers):
            raise InstanceError(f"{keyword} holds a number that is not finite")
        return numbers


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
        with path.open("rb", buffering=0) as file:
            head = file.read(HEAD_BYTES)
            try:
                return _read(head, path.stat().st_size)
            except HeadTooShortError:
                return read_elements(head + file.read())
    except OSError as error:
        raise InstanceError(
            f"a file of the series cannot be read: {error.strerror or 'no reason given'}"
        ) from error


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
    values, pixel_data = _data_set(walk, is_implicit=_is_implicit(walk, syntax))
    byte_order: Literal["little", "big"] = "big" if walk.is_big_endian else "little"
    return Elements(syntax, byte_order, values, pixel_data, content)


def _transfer_syntax(walk: Walk) -> str:
    """Read the file meta information, which is always explicit little endian, and move behind it."""
    syntax = b""
    while walk.content[walk.at : walk.at + 2] == _META_GROUP:
        tag, _, length = walk.enter(is_implicit=False)
        value = walk.value(length)
        if tag == _TRANSFER_SYNTAX_UID:
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


def _data_set(walk: Walk, *, is_implicit: bool) -> tuple[dict[str, bytes], PixelElement | None]:
    values: dict[str, bytes] = {}
    while not walk.is_at_end:
        tag, vr, length = walk.enter(is_implicit=is_implicit)
        if tag == _PIXEL_DATA:
            return values, _pixel_element(walk, vr, length)
        keyword = _KEYWORD_OF.get(tag)
        if length == UNDEFINED_LENGTH:
            walk.skip_undefined(is_implicit=is_implicit or vr == b"UN")
            values.update({keyword: b""} if keyword else {})
        elif keyword:
            values[keyword] = walk.value(length)[:MAXIMUM_VALUE_BYTES]
        else:
            walk.at += length
    return values, None


def _pixel_element(walk: Walk, vr: bytes, length: int) -> PixelElement:
    name = "OB" if vr == b"OB" else "OW"  # what implicit VR means (PS3.5 §A.1)
    element = PixelElement(name, walk.at, length, walk.size_bytes - walk.at)
    is_whole = len(walk.content) == walk.size_bytes
    if length == UNDEFINED_LENGTH and is_whole:
        walk.skip_undefined(is_implicit=True)
    return element


def _decoded(raw: bytes, character_sets: Sequence[str]) -> str:
    """Decode text with code extensions (PS3.5 §6.1.2.5); what cannot be decoded becomes U+FFFD."""
    first = python_encoding.get(character_sets[0], "iso8859")
    return "".join(_part(part, first) for part in _ESCAPED.split(raw))


def _part(part: bytes, first: str) -> str:
    escape = part[: 4 if part.startswith((b"\x1b$(", b"\x1b$)")) else 3]
    encoding = CODES_TO_ENCODINGS.get(escape) if part.startswith(b"\x1b") else None
    if encoding is None:
        return part.decode(first, "replace")
    keeps = encoding in handled_encodings  # Python knows these escape sequences itself
    return (part if keeps else part[len(escape) :]).decode(encoding, "replace")
