"""The header of one instance: the few attributes the tables keep, read without decoding pixels."""

import warnings
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medaet.dicom.identity import InstanceHeader, SeriesFacts, checked_uid
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
)
MAXIMUM_INFLATED_BYTES = 256 * 1024 * 1024
MAXIMUM_VALUE_LENGTH = 256
DEFER_BYTES = 1024
_PIXEL_DATA = Tag("PixelData")
_WANTED = [
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "NumberOfFrames",
    *SERIES_ATTRIBUTES,
    "PixelData",
]
_UNDEFINED_LENGTH = 0xFFFFFFFF


def read_header(content: bytes | Path) -> InstanceHeader:
    """Read what identifies and describes an instance.

    Args:
        content: A Part 10 file (PS3.10 §7), as its bytes or its path.

    Raises:
        InstanceError: the bytes are no DICOM file, miss an identifying UID, or end before their pixel data does.
    """
    try:
        data = content.read_bytes() if isinstance(content, Path) else bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # pydicom's warnings quote values, which may be a patient's
            return _header(data)
    except InstanceError:
        raise
    except OSError as error:
        raise InstanceError(
            f"the instance cannot be read: {error.strerror or 'no reason'}"
        ) from error
    except Exception as error:  # whatever pydicom raises on hostile bytes, they are no instance
        raise InstanceError(
            f"the bytes cannot be read as a DICOM instance ({type(error).__name__}); "
            "the sender should send it again"
        ) from error


def facts(
    series_instance_uid: str,
    modality: str,
    attributes: Mapping[str, str],
    sop_class_uids: tuple[str, ...],
    slices: int,
) -> SeriesFacts:
    """Put together what selectors ask for from what the tables keep."""
    image_type = attributes.get("ImageType", "")
    return SeriesFacts(
        series_instance_uid=series_instance_uid,
        modality=modality,
        body_part=attributes.get("BodyPartExamined", ""),
        series_description=attributes.get("SeriesDescription", ""),
        study_description=attributes.get("StudyDescription", ""),
        protocol_name=attributes.get("ProtocolName", ""),
        image_type=tuple(value.upper() for value in image_type.split("\\") if value),
        sop_class_uids=sop_class_uids,
        slices=slices,
    )


def _header(data: bytes) -> InstanceHeader:
    stream = BytesIO(data)
    read_preamble(stream, False)
    syntax = checked_uid(
        str(_read_file_meta_info(stream).get("TransferSyntaxUID", "")), "TransferSyntaxUID"
    )
    if syntax == DeflatedExplicitVRLittleEndian:
        _check_inflation(data[stream.tell() :])
    dataset = pydicom.dcmread(BytesIO(data), defer_size=DEFER_BYTES, specific_tags=_WANTED)
    header = InstanceHeader(
        study_instance_uid=checked_uid(_text(dataset, "StudyInstanceUID"), "StudyInstanceUID"),
        series_instance_uid=checked_uid(_text(dataset, "SeriesInstanceUID"), "SeriesInstanceUID"),
        sop_instance_uid=checked_uid(_text(dataset, "SOPInstanceUID"), "SOPInstanceUID"),
        sop_class_uid=checked_uid(_text(dataset, "SOPClassUID"), "SOPClassUID"),
        transfer_syntax_uid=syntax,
        modality=_text(dataset, "Modality")[:16] or "OT",
        series_attributes={
            keyword: value for keyword in SERIES_ATTRIBUTES if (value := _text(dataset, keyword))
        },
    )
    _check_length(len(data), dataset, syntax)
    return header


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if value is None:
        return ""
    many = isinstance(value, pydicom.multival.MultiValue | list)
    text = "\\".join(str(one) for one in value) if many else str(value)
    return text.strip(" \0")[:MAXIMUM_VALUE_LENGTH]


def _check_inflation(deflated: bytes) -> None:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total, rest = 0, deflated
    while rest and not inflater.eof:
        total += len(inflater.decompress(rest, 1 << 20))
        rest = inflater.unconsumed_tail
        if total > MAXIMUM_INFLATED_BYTES:
            raise InstanceError(
                f"the deflated data set inflates to more than {MAXIMUM_INFLATED_BYTES} bytes; "
                "send it in another transfer syntax"
            )


def _check_length(size_bytes: int, dataset: Dataset, syntax: str) -> None:
    """Refuse native pixel data that ends before Rows x Columns x frames says it should (PS3.5 §8.1.1)."""
    uid = pydicom.uid.UID(syntax)
    if uid.is_private or not uid.is_transfer_syntax or uid.is_compressed or uid.is_deflated:
        return
    try:
        sizes = [
            int(dataset.get(keyword) or 1) for keyword in ("SamplesPerPixel", "NumberOfFrames")
        ]
        rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
        bits = int(dataset.get("BitsAllocated") or 0)
    except TypeError as error:
        raise InstanceError("Rows, Columns or BitsAllocated is not one number") from error
    if _PIXEL_DATA not in dataset:
        return
    claimed, present = _pixel_lengths(size_bytes, dataset)
    expected = (rows * columns * sizes[0] * sizes[1] * bits + 7) // 8
    if claimed != _UNDEFINED_LENGTH and (claimed > present or expected > claimed):
        raise InstanceError(
            f"the pixel data is cut short: {expected} bytes expected, {min(present, claimed)} "
            "there; the sender should send the instance again"
        )


def _pixel_lengths(size_bytes: int, dataset: Dataset) -> tuple[int, int]:
    """Return how long the pixel data claims to be, and how much of it is there.

    pydicom has already read a value that the end of the file cut off; others still wait to be read.
    """
    element: object = dataset.get_item(_PIXEL_DATA)
    if isinstance(element, DataElement):
        there = len(element.value or b"")
        return there, there
    length = int(getattr(element, "length", _UNDEFINED_LENGTH))
    return length, size_bytes - int(getattr(element, "value_tell", 0))
