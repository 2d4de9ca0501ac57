"""The values of data elements: raw bytes under their keywords, and the text and numbers in them."""

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from pydicom.charset import CODES_TO_ENCODINGS, handled_encodings, python_encoding
from pydicom.datadict import tag_for_keyword

from medaet.errors import InstanceError

KEYWORDS = (
    *("SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality"),
    *("Manufacturer", "StudyDescription", "SeriesDescription", "ManufacturerModelName"),
    *("BodyPartExamined", "SliceThickness", "SpacingBetweenSlices", "ProtocolName"),
    *("StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "FrameOfReferenceUID"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("RescaleIntercept", "RescaleSlope", "ModalityLUTSequence"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "LossyImageCompression"),
    # What tells the volumes of one series apart, and puts them into order
    *("FrameType", "StackID", "EchoNumbers", "EchoTime", "EffectiveEchoTime", "InversionTime"),
    *("DiffusionBValue", "KVP", "ConvolutionKernel", "AcquisitionNumber", "InstanceNumber"),
    *("TemporalPositionIdentifier", "TemporalPositionIndex", "TriggerTime"),
    *("NominalCardiacTriggerDelayTime", "AcquisitionTime", "ContentTime"),
    # What the frames of results say
    *("ReferencedSOPInstanceUID", "ReferencedFrameNumber", "ReferencedSegmentNumber"),
    # Whose they are, and when they were taken; hashed before they are kept
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AcquisitionDateTime", "AcquisitionDate", "SeriesDate", "SeriesTime"),
    *("StudyDate", "StudyTime"),
)
"""What is kept; every other element is stepped over."""

KEYWORD_OF: Mapping[int, str] = {
    tag: keyword for keyword in KEYWORDS if (tag := tag_for_keyword(keyword)) is not None
}

_FLOATS = frozenset({"EffectiveEchoTime", "DiffusionBValue", "NominalCardiacTriggerDelayTime"})
_INTEGERS = frozenset({"TemporalPositionIndex"})
_ESCAPED = re.compile(b"(\x1b[^\x1b]*)")


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data lies.

    Attributes:
        vr: "OB" or "OW"; "OF" or "OD" for Float and Double Float Pixel Data.
        offset: First byte of the value, counted in the content it was found in.
        length: What the length field says, in bytes; `UNDEFINED_LENGTH` when the value is encapsulated.
        present: How many bytes there are from `offset` to the end.
    """

    vr: str
    offset: int
    length: int
    present: int


@dataclass(frozen=True, slots=True)
class SequenceElement:
    """Where the items of a sequence lie.

    Attributes:
        offset: First byte of the value, counted in the content it was found in.
        length: In bytes, or `UNDEFINED_LENGTH`.
        is_implicit: Whether its items have implicit VRs.
    """

    offset: int
    length: int
    is_implicit: bool


@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of one instance; its repr() holds nothing of the patient.

    Attributes:
        values: Raw values by PS3.6 keyword; what is longer than `MAXIMUM_VALUE_BYTES`, or a sequence, is cut.
        pixel_data: None when there is no Pixel Data (7FE0,0010).
        content: The file, or its head, or the inflated data set.
        shared: Where the Shared Functional Groups Sequence lies; None without.
        per_frame: Where the Per-Frame Functional Groups Sequence lies; None without.
    """

    transfer_syntax_uid: str
    byte_order: Literal["little", "big"]
    values: Mapping[str, bytes] = field(repr=False)
    pixel_data: PixelElement | None
    content: bytes = field(repr=False)
    shared: SequenceElement | None = None
    per_frame: SequenceElement | None = None

    def ascii(self, keyword: str) -> str:
        """Return a value of which the standard allows only ASCII, without padding; "" when absent."""
        return _ascii(self.values.get(keyword, b""))

    def mark(self, keyword: str) -> str:
        """Return a value as something to compare: text, or the digits of a binary number."""
        raw = self.values.get(keyword, b"")
        if keyword in _FLOATS:
            return f"{self.rank(keyword):g}"
        if keyword in _INTEGERS:
            return str(int.from_bytes(raw, self.byte_order))
        return raw.decode("ascii", "replace").strip(" \0")

    def rank(self, keyword: str) -> float:
        """Return a value as a number to sort by, whatever its VR; 0 when it is absent or no number."""
        raw = self.values.get(keyword, b"")
        try:
            if keyword in _FLOATS:
                (number,) = struct.unpack("<d" if self.byte_order == "little" else ">d", raw)
                return float(number)
            if keyword in _INTEGERS:
                return float(int.from_bytes(raw, self.byte_order))
            return _numbers(raw)[0]
        except (ValueError, IndexError, struct.error):
            return 0.0

    def text(self, keyword: str) -> str:
        """Return a value as printable text, "" when absent; several values stay joined by backslashes."""
        raw = self.values.get(keyword, b"")
        if raw.isascii() and b"\x1b" not in raw:
            text = raw.decode("ascii")
        else:
            names = self.values.get("SpecificCharacterSet", b"").decode("ascii", "replace")
            text = _decoded(raw, [name.strip(" \0") for name in names.split("\\")])
        if text.isprintable():
            return text.strip()
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
        raw = self.values.get(keyword)
        if not raw:
            return ()
        try:
            return _numbers(raw)
        except ValueError as error:
            raise InstanceError(f"{keyword} {error}") from error


@lru_cache(maxsize=1024)
def _numbers(raw: bytes) -> tuple[float, ...]:
    """Read a decimal string; slices of a series share most of theirs.

    Raises:
        ValueError: it holds something else than finite numbers.
    """
    text = raw.strip(b" \0")
    try:
        numbers = tuple([float(part) for part in text.split(b"\\")]) if text else ()
    except ValueError as error:
        raise ValueError(
            "holds something else than numbers; the instance cannot be used"
        ) from error
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("holds a number that is not finite")
    return numbers


@lru_cache(maxsize=1024)
def _ascii(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip(" \0")


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
