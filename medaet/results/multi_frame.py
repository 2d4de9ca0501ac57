"""Multi-frame results written frame by frame: functional groups from a template, pixels as they are made.

highdicom makes the header. A data set of a hundred structures has ten thousand frames and half a gigabyte of pixels;
as objects in memory they would take several times that, so what differs from frame to frame is written as bytes.
"""

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from medaet.dicom.codes import Code
from medaet.dicom.geometry import Plane
from medaet.errors import EncodingError
from medaet.results.source import SourceSeries

MAXIMUM_PIXEL_BYTES = 0xFFFFFFFE

OWN = (
    *("DerivationImageSequence", "FrameContentSequence", "PlanePositionSequence"),
    "SegmentIdentificationSequence",
)
"""The groups that each frame has for itself."""

_ITEM = struct.Struct("<HHI")
_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2s2xI")
_LONG_VRS = frozenset({b"OB", b"OF", b"OW", b"SQ", b"UC", b"UN", b"UT"})


@dataclass(frozen=True, slots=True)
class FrameGroup:
    """What is special to one frame.

    Attributes:
        plane: Index of the source plane that it lies on.
        segment: Number of its segment; None where a frame holds all of them, or none.
    """

    plane: int
    segment: int | None = None


@dataclass(frozen=True, slots=True)
class Derivation:
    """How frames were derived from the source.

    Attributes:
        code: Derivation Code.
        purpose: Purpose of Reference of the source images.
    """

    code: Code
    purpose: Code


def write(
    path: Path,
    header: Dataset,
    groups: bytes,
    pixels: Iterable[bytes],
    *,
    pixel_element: tuple[int, bytes] = (0x7FE00010, b"OB"),
) -> None:
    """Write a multi-frame instance.

    Args:
        path: The new file.
        header: Everything below Per-Frame Functional Groups, with its file meta information.
        groups: The items of Per-Frame Functional Groups, see `functional_groups`.
        pixels: The pixel data in pieces, uncompressed; or frames, each compressed, when the transfer syntax of the
            header says so.
        pixel_element: Tag and VR of the pixel data.

    Raises:
        EncodingError: there are more pixels than a data element holds.
    """
    start = BytesIO()
    header.save_as(start, enforce_file_format=True)
    with path.open("wb") as file:
        file.write(start.getbuffer())
        file.write(_element(0x52009230, b"SQ", groups))
        if header.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian:
            _write_native(file, pixels, *pixel_element)
        else:
            _write_encapsulated(file, pixels)


def keep_shared(dataset: Dataset) -> None:
    """Leave nothing among the shared groups that frames say for themselves: one slice alone shares everything."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for keyword in OWN:
        if keyword in shared:
            delattr(shared, keyword)
    if "DimensionOrganizationType" in dataset:
        del dataset.DimensionOrganizationType  # "3D" of one slice; not all sources are regular


def put_sources(dataset: Dataset, series: SourceSeries, others: Sequence[SourceSeries]) -> None:
    """Name the source images: those of the series first, since some viewers read no further.

    Others are named when they are of the same study.
    """
    study = series.first.StudyInstanceUID
    named = {str(series.first.SeriesInstanceUID): series}
    for other in others:
        if other.first.StudyInstanceUID == study:
            named.setdefault(str(other.first.SeriesInstanceUID), other)
    dataset.SourceImageSequence = [item for each in named.values() for item in references(each)]
    dataset.ReferencedSeriesSequence = []
    for uid, each in named.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedInstanceSequence = references(each)
        dataset.ReferencedSeriesSequence.append(item)


def references(series: SourceSeries) -> list[Dataset]:
    """Return a reference to each source instance."""
    references = []
    for uid, instance in series.instances.items():
        item = Dataset()
        item.ReferencedSOPClassUID = instance.sop_class_uid
        item.ReferencedSOPInstanceUID = uid
        references.append(item)
    return references


def fix_dimension_organization(dataset: Dataset, uid: str) -> None:
    """Replace highdicom's random UID: the same run must give the same bytes (PS3.3 §C.7.6.17)."""
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def functional_groups(
    frames: Sequence[FrameGroup], series: SourceSeries, derivation: Derivation
) -> bytes:
    """Return the items of Per-Frame Functional Groups, Explicit VR Little Endian.

    Each names its source image, its place in the dimensions (segment, then position), its position and its segment.

    Source:
        PS3.3 §C.7.6.16.2.6 (Derivation Image), §C.7.6.16.2.2 (Frame Content), §C.7.6.16.2.3 (Plane Position),
        §C.8.20.3.1 (Segment Identification).
    """
    planes = {
        number: _of_plane(series, series.volume.planes[number], derivation)
        for number in {frame.plane for frame in frames}
    }
    places = {number: place for place, number in enumerate(sorted(planes), 1)}
    items = []
    for frame in frames:
        derived, position = planes[frame.plane]
        place = places[frame.plane]
        index = (place,) if frame.segment is None else (frame.segment, place)
        values = struct.pack(f"<{len(index)}I", *index)
        content = _sequence(0x00209111, _element(0x00209157, b"UL", values))
        parts = derived + content + position + _segment(frame.segment)
        items.append(_ITEM.pack(0xFFFE, 0xE000, len(parts)) + parts)
    return b"".join(items)


def _of_plane(series: SourceSeries, plane: Plane, derivation: Derivation) -> tuple[bytes, bytes]:
    """Return the Derivation Image and the Plane Position of every frame on a plane."""
    instance = series.instances[plane.sop_instance_uid]
    reference = [
        _element(0x00081150, b"UI", instance.sop_class_uid.encode()),
        _element(0x00081155, b"UI", plane.sop_instance_uid.encode()),
    ]
    if plane.frame:
        reference.append(_element(0x00081160, b"IS", str(plane.frame).encode()))
    reference.append(_element(0x0028135A, b"CS", b"YES"))
    reference.append(_sequence(0x0040A170, _coded(derivation.purpose)))
    source = _sequence(0x00082112, b"".join(reference))
    derived = _sequence(0x00089124, source + _sequence(0x00089215, _coded(derivation.code)))
    position = _element(0x00200032, b"DS", "\\".join(series.position(plane)).encode())
    return derived, _sequence(0x00209113, position)


def _segment(number: int | None) -> bytes:
    if number is None:
        return b""
    return _sequence(0x0062000A, _element(0x0062000B, b"US", struct.pack("<H", number)))


def _coded(code: Code) -> bytes:
    return b"".join(
        _element(tag, vr, text.encode("ascii"))
        for tag, vr, text in (
            (0x00080100, b"SH", code.value),
            (0x00080102, b"SH", code.scheme),
            (0x00080104, b"LO", code.meaning),
        )
    )


def _sequence(tag: int, item: bytes) -> bytes:
    """Return a sequence of one item."""
    return _element(tag, b"SQ", _ITEM.pack(0xFFFE, 0xE000, len(item)) + item)


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Return a data element, its value padded to an even length (PS3.5 §7.1.1)."""
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    form = _LONG if vr in _LONG_VRS else _SHORT
    return form.pack(tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def _write_native(file: BinaryIO, pixels: Iterable[bytes], tag: int, vr: bytes) -> None:
    at = file.tell()
    file.write(_LONG.pack(tag >> 16, tag & 0xFFFF, vr, 0))
    length = 0
    for piece in pixels:
        length += file.write(piece)
    if length > MAXIMUM_PIXEL_BYTES:
        raise EncodingError(
            f"{length} bytes of pixels do not fit into one object; set a frame limit for the peer"
        )
    file.write(b"\0" * (length % 2))
    file.seek(at)
    file.write(_LONG.pack(tag >> 16, tag & 0xFFFF, vr, length + length % 2))
    file.seek(0, os.SEEK_END)


def _write_encapsulated(file: BinaryIO, frames: Iterable[bytes]) -> None:
    """Write each compressed frame as one fragment, behind an offset table (PS3.5 §A.4)."""
    fragments = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    offsets, offset = [], 0
    for fragment in fragments:
        offsets.append(offset)
        offset += _ITEM.size + len(fragment)
    file.write(_LONG.pack(0x7FE0, 0x0010, b"OB", 0xFFFFFFFF))
    table = struct.pack(f"<{len(offsets)}I", *offsets)
    for content in (table, *fragments):
        file.write(_ITEM.pack(0xFFFE, 0xE000, len(content)) + content)
    file.write(_ITEM.pack(0xFFFE, 0xE0DD, 0))
