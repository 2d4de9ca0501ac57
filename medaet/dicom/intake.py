"""What is taken in of an instance while it is received: who it is, where it lies, and where its pixel data begins.

Later stages read this from the tables and need not parse the file again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pydicom.datadict import tag_for_keyword
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from medaet.dicom.header import SERIES_ATTRIBUTES, check_length, header_of, ref_of
from medaet.dicom.identity import InstanceHeader, InstanceRef
from medaet.dicom.scan import Deflated, Read, Scan, Stored
from medaet.dicom.values import Elements, PixelElement
from medaet.dicom.walk import UNDEFINED_LENGTH

IDENTITY = (
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID"),
    *("StudyInstanceUID", "SeriesInstanceUID", "Modality"),
)

IMAGE_ATTRIBUTES = (
    *("InstanceNumber", "AcquisitionNumber", "ImagesInAcquisition"),
    *("NumberOfSeriesRelatedInstances", "FrameOfReferenceUID"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
    *("NumberOfFrames", "RescaleIntercept", "RescaleSlope"),
)
"""Text that is kept of each instance."""

IMAGE_NUMBERS = (
    *("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored"),
    *("HighBit", "PixelRepresentation"),
)
"""Binary numbers that are kept of each instance."""

_KEPT = ("PhotometricInterpretation", *IDENTITY, *SERIES_ATTRIBUTES, *IMAGE_ATTRIBUTES)
_WANTED = {
    tag: keyword
    for keyword in (*_KEPT, *IMAGE_NUMBERS)
    if (tag := tag_for_keyword(keyword)) is not None
}
_DEFLATED = frozenset(f"1.2.840.10008.1.2.{end}" for end in ("1.99", "4.95", "4.205"))


@dataclass(frozen=True, slots=True)
class Intake:
    """One instance, as the receiver knows it.

    Attributes:
        transfer_syntax_uid: Of the data set as it is stored.
        attributes: Of the image, by PS3.6 keyword; numbers are whole, everything else is text.
        pixel_offset: First byte of the pixel data's value in the file; None when there is none, or it is deflated.
        pixel_length: Its length in bytes; None when there is none, or it is encapsulated.
        describe: Returns the header; it takes longer than everything else, and only a new series needs it.
    """

    ref: InstanceRef
    transfer_syntax_uid: str
    attributes: dict[str, str | int]
    pixel_offset: int | None
    pixel_length: int | None
    describe: Callable[[], InstanceHeader]


def take_in(read: Read, *, start: int, end: int, transfer_syntax_uid: str) -> Intake:
    """Read what the tables keep of an instance, and make sure that all of it is there.

    Args:
        read: Reads from the file.
        start: Where the data set begins, behind the file meta information.
        end: Length of the file, in bytes.
        transfer_syntax_uid: Of the presentation context it came in.

    Raises:
        InstanceError: the data set misses an identifying UID, ends within an element or before its pixels do, is
            nested too deep, or inflates beyond all measure.
    """
    is_deflated = transfer_syntax_uid in _DEFLATED
    stored = Stored(read, start, end)
    is_big_endian = transfer_syntax_uid == ExplicitVRBigEndian
    scan = Scan(
        Deflated(stored) if is_deflated else stored,
        _WANTED,
        is_implicit=transfer_syntax_uid == ImplicitVRLittleEndian,
        is_big_endian=is_big_endian,
    )
    scan.run()
    elements = Elements(
        transfer_syntax_uid,
        "big" if is_big_endian else "little",
        scan.values,
        _pixel_element(scan),
        b"",
    )
    check_length(elements)
    offset, length = scan.pixel_offset, scan.pixel_length
    return Intake(
        ref=ref_of(elements),
        transfer_syntax_uid=transfer_syntax_uid,
        attributes=_attributes(elements),
        pixel_offset=None if offset is None or is_deflated else start + offset,
        pixel_length=None if offset is None or length == UNDEFINED_LENGTH else length,
        describe=partial(header_of, elements),
    )


def _pixel_element(scan: Scan) -> PixelElement | None:
    if scan.pixel_offset is None:
        return None
    vr = "OB" if scan.pixel_vr == b"OB" else "OW"
    present = scan.size_bytes - scan.pixel_offset
    return PixelElement(vr, scan.pixel_offset, scan.pixel_length, present)


def _attributes(elements: Elements) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        keyword: elements.values[keyword].decode("ascii", "replace").strip(" \0")
        for keyword in IMAGE_ATTRIBUTES
        if elements.values.get(keyword)
    }
    for keyword in IMAGE_NUMBERS:
        raw = elements.values.get(keyword, b"")
        if len(raw) in (2, 4):
            found[keyword] = int.from_bytes(raw, elements.byte_order)
    return found
