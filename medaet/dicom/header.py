"""The header of one instance: the few attributes the tables keep, read without decoding pixels."""

from collections.abc import Mapping
from pathlib import Path

from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medaet.dicom.elements import read_elements
from medaet.dicom.identity import InstanceHeader, InstanceRef, SeriesFacts, checked_uid
from medaet.dicom.values import Elements
from medaet.errors import InstanceError

SERIES_ATTRIBUTES = (
    "BodyPartExamined",
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "ImageType",
    "SeriesNumber",
    "Manufacturer",
    "ManufacturerModelName",
    "NumberOfFrames",
)
MAXIMUM_VALUE_LENGTH = 256
MAXIMUM_MODALITY_LENGTH = 16
NO_MODALITY = "OT"
"""Modality of an instance without one: "other" (PS3.3 §C.7.3.1.1.1)."""

NATIVE = frozenset({ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian})
_SUBSAMPLED = b"_42"


def read_header(content: bytes | Path) -> InstanceHeader:
    """Read what identifies and describes an instance.

    Args:
        content: A Part 10 file (PS3.10 §7), as its bytes or its path.

    Raises:
        InstanceError: the bytes are no DICOM file, miss an identifying UID, or end before their pixel data does.
    """
    return header_of(read_elements(content if isinstance(content, bytes) else _bytes(content)))


def header_of(elements: Elements) -> InstanceHeader:
    """Check and gather what identifies and describes an instance.

    Raises:
        InstanceError: an identifying UID is missing, or the pixel data is cut short.
    """
    ref = ref_of(elements)
    header = InstanceHeader(
        study_instance_uid=ref.study_instance_uid,
        series_instance_uid=ref.series_instance_uid,
        sop_instance_uid=ref.sop_instance_uid,
        sop_class_uid=ref.sop_class_uid,
        transfer_syntax_uid=checked_uid(elements.transfer_syntax_uid, "TransferSyntaxUID"),
        modality=elements.text("Modality")[:MAXIMUM_MODALITY_LENGTH] or NO_MODALITY,
        series_attributes={
            keyword: value[:MAXIMUM_VALUE_LENGTH]
            for keyword in SERIES_ATTRIBUTES
            if (value := elements.text(keyword))
        },
    )
    check_length(elements)
    return header


def ref_of(elements: Elements) -> InstanceRef:
    """Check and gather what identifies an instance.

    Raises:
        InstanceError: a UID is missing, or is none.
    """
    return InstanceRef(
        study_instance_uid=_uid(elements, "StudyInstanceUID"),
        series_instance_uid=_uid(elements, "SeriesInstanceUID"),
        sop_instance_uid=_uid(elements, "SOPInstanceUID"),
        sop_class_uid=_uid(elements, "SOPClassUID"),
    )


def facts(
    series_instance_uid: str,
    modality: str,
    attributes: Mapping[str, str],
    sop_class_uids: tuple[str, ...],
    instances: int,
) -> SeriesFacts:
    """Put together what selectors ask for from what the tables keep.

    Every frame of a multi-frame instance counts as a slice; all instances are taken to have as many.
    """
    image_type = attributes.get("ImageType", "")
    return SeriesFacts(
        series_instance_uid=series_instance_uid,
        modality=modality,
        body_part=attributes.get("BodyPartExamined", ""),
        series_description=attributes.get("SeriesDescription", ""),
        study_description=attributes.get("StudyDescription", ""),
        protocol_name=attributes.get("ProtocolName", ""),
        image_type=tuple(
            value.strip().upper() for value in image_type.split("\\") if value.strip()
        ),
        sop_class_uids=sop_class_uids,
        slices=instances * _frames(attributes),
    )


def _frames(attributes: Mapping[str, str]) -> int:
    text = attributes.get("NumberOfFrames", "").strip()
    return max(int(text), 1) if text.isascii() and text.isdecimal() else 1


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InstanceError(
            f"the instance cannot be read: {error.strerror or 'no reason given'}"
        ) from error


def _uid(elements: Elements, keyword: str) -> str:
    raw = elements.values.get(keyword, b"")
    return checked_uid(raw.decode("ascii", "replace").strip(" \0"), keyword)


def check_length(elements: Elements) -> None:
    """Refuse native pixel data that ends before its length, or Rows x Columns x frames, says (PS3.5 §8.1.1).

    Raises:
        InstanceError: it does.
    """
    pixel_data = elements.pixel_data
    if pixel_data is None or elements.transfer_syntax_uid not in NATIVE:
        return
    expected = max(pixel_data.length, _expected_bytes(elements))
    present = min(pixel_data.length, pixel_data.present)
    if expected > present:
        raise InstanceError(
            f"the pixel data is cut short: {expected} bytes expected, {present} there; "
            "the sender should send the instance again"
        )


def _expected_bytes(elements: Elements) -> int:
    """Return the least length of the pixel data, 0 when the colours of neighbours share bytes."""
    if _SUBSAMPLED in elements.values.get("PhotometricInterpretation", b""):
        return 0
    frames = elements.decimals("NumberOfFrames") or (1.0,)
    bits = int(frames[0])
    for keyword, default in (
        ("Rows", 0),
        ("Columns", 0),
        ("SamplesPerPixel", 1),
        ("BitsAllocated", 0),
    ):
        bits *= elements.integer(keyword, default)
    return (bits + 7) // 8
