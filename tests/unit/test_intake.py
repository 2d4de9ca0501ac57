"""What is taken in of an instance: the same as a reader of the whole file finds, whatever the size, or an error."""

import resource
import time
import zlib
from pathlib import Path

import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence, dcmread
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medaet.dicom.header import read_header
from medaet.dicom.identity import InstanceHeader
from medaet.dicom.intake import Intake, take_in
from medaet.dicom.scan import MAXIMUM_ELEMENTS, WINDOW_BYTES
from medaet.errors import InstanceError


def _has_meta_information(path: Path) -> bool:
    """Whether a file begins as those that a receiver writes."""
    head = path.read_bytes()[:140]
    return head[128:132] == b"DICM" and head[136:138] == b"UL"


SAMPLES = [
    path
    for path in sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm"))
    if _has_meta_information(path)
]
NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def _taken(content: bytes, syntax: str, start: int = 0) -> Intake:
    return take_in(
        lambda offset, length: content[offset : offset + length],
        start=start,
        end=len(content),
        transfer_syntax_uid=syntax,
    )


def _encoded(dataset: Dataset, syntax: UID) -> bytes:
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian = syntax != ExplicitVRBigEndian
    stream.is_implicit_VR = syntax == ImplicitVRLittleEndian
    write_dataset(stream, dataset)
    return bytes(stream.getvalue())


def _dataset() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.4", "1.2.5"
    dataset.Modality = "CT"
    dataset.PatientName = "Canary^Yellow"
    dataset.Rows = dataset.Columns = 4
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.ImagePositionPatient, dataset.PixelSpacing = [1.5, 2, -3], [0.5, 0.25]
    dataset.add_new("PixelData", "OW", bytes(range(32)))
    return dataset


def _header(content: bytes) -> InstanceHeader | str:
    try:
        return read_header(content)
    except InstanceError:
        return "refused"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_header_is_that_of_a_reader_of_the_whole_file(path: Path) -> None:
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    expected = _header(content)
    meta = pydicom.filereader.read_file_meta_info(path)
    syntax = str(meta.get("TransferSyntaxUID", ImplicitVRLittleEndian))
    try:
        taken = _taken(content, syntax, start)
    except InstanceError:
        assert expected == "refused"
        return
    assert taken.describe() == expected
    if taken.pixel_offset is not None and taken.pixel_length is not None:
        dataset = dcmread(path)
        assert content[taken.pixel_offset :][: taken.pixel_length] == dataset.PixelData


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.name)
def test_image_attributes_and_the_place_of_the_pixels_are_found(syntax: UID) -> None:
    content = b"start" + _encoded(_dataset(), syntax)
    taken = _taken(content, syntax, start=5)
    assert taken.attributes == {
        "ImagePositionPatient": "1.5\\2.0\\-3.0",
        "PixelSpacing": "0.5\\0.25",
        "Rows": 4,
        "Columns": 4,
        "SamplesPerPixel": 1,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
    }
    assert (taken.pixel_offset, taken.pixel_length) == (len(content) - 32, 32)
    assert "Canary" not in repr(taken)


def test_deflated_data_set_has_no_place_of_pixels() -> None:
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    content = squeezer.compress(_encoded(_dataset(), ExplicitVRLittleEndian)) + squeezer.flush()
    taken = _taken(content, DeflatedExplicitVRLittleEndian)
    assert taken.ref.sop_instance_uid == "1.2.3"
    assert (taken.pixel_offset, taken.pixel_length) == (None, 32)


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("is_undefined", [False, True])
def test_header_of_any_length_is_walked(syntax: UID, is_undefined: bool) -> None:
    dataset = _dataset()
    item = Dataset()
    item.TextValue = "x" * 1000
    item.RescaleSlope = "2"
    dataset.PerFrameFunctionalGroupsSequence = Sequence([item] * (4 * WINDOW_BYTES // 1000))
    dataset["PerFrameFunctionalGroupsSequence"].is_undefined_length = is_undefined
    content = _encoded(dataset, syntax)
    taken = _taken(content, syntax)
    assert taken.pixel_offset == len(content) - 32
    assert "RescaleSlope" not in taken.attributes


@given(st.integers(0, 800))
@settings(deadline=None)
def test_elements_are_found_wherever_a_window_ends(padding: int) -> None:
    dataset = _dataset()
    dataset.TextValue = "x" * (WINDOW_BYTES - 500 + padding)  # (0040,A160), before the pixel data
    content = _encoded(dataset, ExplicitVRLittleEndian)
    assert _taken(content, ExplicitVRLittleEndian).pixel_offset == len(content) - 32


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.name)
def test_data_set_that_ends_within_an_element_is_refused(syntax: UID) -> None:
    dataset = _dataset()
    content = _encoded(dataset, syntax)
    wholes = {len(_encoded(dataset[: element.tag], syntax)) for element in dataset}
    wholes |= {length + 1 for length in wholes}  # one zero more is padding
    for length in set(range(len(content))) - wholes:
        with pytest.raises(InstanceError):
            _taken(content[:length], syntax)
    assert _taken(content + bytes(6), syntax).ref.sop_instance_uid == "1.2.3"


def test_fragments_that_end_early_are_refused() -> None:
    dataset = _dataset()
    fragments = b"".join(
        b"\xfe\xff\x00\xe0" + length.to_bytes(4, "little") + bytes(length)
        for length in (0, 5000, 70_000, 10)
    )
    del dataset.PixelData
    head = _encoded(dataset, ExplicitVRLittleEndian)
    head += b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    syntax = "1.2.840.10008.1.2.4.90"
    taken = _taken(head + fragments + end, syntax)
    assert (taken.pixel_offset, taken.pixel_length) == (len(head), None)
    for missing in (1, 8, 9, 20, 5000, 70_000):
        with pytest.raises(InstanceError, match="cut short"):
            _taken((head + fragments + end)[:-missing], syntax)


@pytest.mark.parametrize("depth", [10, 64])
@pytest.mark.parametrize("syntax", NATIVE[:2], ids=lambda syntax: syntax.name)
def test_sequences_may_be_nested_as_deep_as_anybody_needs(syntax: UID, depth: int) -> None:
    assert _taken(_nested(depth, syntax), syntax).ref.sop_instance_uid == "1.2.3"


@pytest.mark.parametrize("depth", [66, 1000, 100_000])
@pytest.mark.parametrize("syntax", NATIVE[:2], ids=lambda syntax: syntax.name)
def test_sequences_nested_deeper_are_refused(syntax: UID, depth: int) -> None:
    with pytest.raises(InstanceError, match="nested deeper"):
        _taken(_nested(depth, syntax), syntax)


def _nested(depth: int, syntax: UID) -> bytes:
    """Encode a data set with sequences of undefined length in one another; an item and its sequence are two levels."""
    dataset = _dataset()
    del dataset.PixelData
    vr = b"" if syntax == ImplicitVRLittleEndian else b"SQ\0\0"
    begin = b"\x08\x00\x40\x11" + vr + b"\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    head = _encoded(dataset, syntax)
    return head + begin * (depth // 2) + end * (depth // 2)


def test_elements_without_number_are_refused_in_bounded_time() -> None:
    empty = b"\x09\x00\x10\x10LO\0\0"
    content = empty * (MAXIMUM_ELEMENTS + 10)
    with pytest.raises(InstanceError, match="more than"):
        _taken(content, ExplicitVRLittleEndian)


def test_data_set_that_inflates_without_end_is_refused_in_little_memory() -> None:
    head = _encoded(_dataset(), ExplicitVRLittleEndian)[:-44]  # without the pixel data
    squeezer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    parts = [squeezer.compress(head + b"\xe0\x7f\x10\x00OW\0\0\xfe\xff\xff\xff")]
    parts += [squeezer.compress(bytes(1 << 20)) for _ in range(400)]
    bomb = b"".join(parts) + squeezer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    with pytest.raises(InstanceError, match="inflates to more than"):
        _taken(bomb, DeflatedExplicitVRLittleEndian)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
    assert time.process_time() - started < 10


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x00" * 50, bytes(range(200))])
def test_damaged_deflated_data_is_refused(content: bytes) -> None:
    with pytest.raises(InstanceError):
        _taken(content, DeflatedExplicitVRLittleEndian)


def test_only_a_little_of_a_large_instance_is_read() -> None:
    dataset = _dataset()
    del dataset.PixelData
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = "5000", 512, 512
    size = 5000 * 512 * 512 * 2
    head = _encoded(dataset, ExplicitVRLittleEndian) + b"\xe0\x7f\x10\x00OW\0\0"
    head += size.to_bytes(4, "little")
    read: list[int] = []

    def sparse(offset: int, length: int) -> bytes:
        read.append(length)
        return head[offset : offset + length].ljust(min(length, len(head) + size - offset), b"\0")

    taken = take_in(
        sparse, start=0, end=len(head) + size, transfer_syntax_uid=ExplicitVRLittleEndian
    )
    assert (taken.pixel_offset, taken.pixel_length) == (len(head), size)
    assert sum(read) < 2 * WINDOW_BYTES


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_data_set_gives_an_intake_or_an_error_of_ours(data: st.DataObject) -> None:
    syntax = data.draw(st.sampled_from([*NATIVE, DeflatedExplicitVRLittleEndian]))
    plain = ExplicitVRLittleEndian if syntax == DeflatedExplicitVRLittleEndian else syntax
    content = bytearray(_encoded(_dataset(), plain))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=8)):
        content[at] = data.draw(st.integers(0, 255))
    try:
        assert _taken(bytes(content), syntax).describe().sop_instance_uid
    except InstanceError as error:
        assert "Canary" not in str(error)  # noqa: PT017 -- either outcome is right
