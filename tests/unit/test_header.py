"""The header of one instance, and the refusal of everything that is not one."""

import contextlib
import warnings
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from medaet.dicom.header import facts, read_header
from medaet.errors import InstanceError
from medaet.testing.phantom import Storage, write_series


def _sample(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


CT = _sample("CT_small.dcm")
IDENTIFYING = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


def _folder() -> Path:
    path = get_testdata_file("CT_small.dcm", download=False)
    assert isinstance(path, str)
    return Path(path).parent


def _identified() -> list[Path]:
    """Return pydicom's own samples that have every identifying UID and are whole."""
    unusable = {"MR_truncated.dcm", "rtplan_truncated.dcm", "badVR.dcm"}
    found = []
    for path in sorted(_folder().glob("*.dcm")):
        with (
            contextlib.suppress(pydicom.errors.InvalidDicomError, AttributeError),
            warnings.catch_warnings(action="ignore"),
        ):
            dataset = pydicom.dcmread(path, specific_tags=list(IDENTIFYING))
            if path.name not in unusable and all(dataset.get(keyword) for keyword in IDENTIFYING):
                found.append(path)
    return found


IDENTIFIED = _identified()


def _ct(**changes: object) -> bytes:
    """Return a small CT image with other values of some attributes; None leaves one out."""
    dataset = pydicom.dcmread(BytesIO(CT))
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return _bytes(dataset)


def _bytes(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def _with_raw(keyword: str, value: bytes) -> bytes:
    """Return the CT image with bytes of the same length in place of a value."""
    old = str(pydicom.dcmread(BytesIO(CT))[keyword].value).encode()
    return CT.replace(old, value.ljust(len(old))[: len(old)])


def test_read_header_finds_uids_and_modality() -> None:
    header = read_header(CT)
    dataset = pydicom.dcmread(BytesIO(CT))
    assert header.sop_instance_uid == dataset.SOPInstanceUID
    assert header.series_instance_uid == dataset.SeriesInstanceUID
    assert header.study_instance_uid == dataset.StudyInstanceUID
    assert header.modality == "CT"


def test_there_are_enough_samples_to_read() -> None:
    assert len(IDENTIFIED) > 50


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's opinions of its own samples
@pytest.mark.parametrize("path", IDENTIFIED, ids=lambda path: path.stem)
def test_read_header_agrees_with_pydicom_on_its_own_samples(path: Path) -> None:
    header, dataset = read_header(path), pydicom.dcmread(path, stop_before_pixels=True)
    assert header.sop_instance_uid == dataset.SOPInstanceUID
    assert header.series_instance_uid == dataset.SeriesInstanceUID
    assert header.study_instance_uid == dataset.StudyInstanceUID
    assert header.sop_class_uid == dataset.SOPClassUID
    assert header.transfer_syntax_uid == dataset.file_meta.TransferSyntaxUID
    assert header.modality == (dataset.get("Modality") or "OT")
    description = str(dataset.get("SeriesDescription") or "")
    assert header.series_attributes.get("SeriesDescription", "") == description
    image_type = dataset.get("ImageType") or ""
    joined = image_type if isinstance(image_type, str) else "\\".join(image_type)
    assert header.series_attributes.get("ImageType", "") == joined


def test_read_header_reads_a_file_like_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "ct.dcm").write_bytes(CT)
    assert read_header(tmp_path / "ct.dcm") == read_header(CT)


def test_read_header_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InstanceError, match="No such file"):
        read_header(tmp_path / "none.dcm")


def test_read_header_keeps_no_patient_attribute() -> None:
    assert not [key for key in read_header(CT).series_attributes if key.startswith("Patient")]


@pytest.mark.parametrize("keyword", IDENTIFYING)
def test_read_header_refuses_an_instance_without_an_identifying_uid(keyword: str) -> None:
    with pytest.raises(InstanceError, match=f"{keyword} is not a UID"):
        read_header(_ct(**{keyword: None}))


@pytest.mark.parametrize("value", [b"../../../../etc/passwd", b"1.2.3\x004", b"1..2", b"1.2.\xff"])
def test_read_header_refuses_a_uid_of_other_characters(value: bytes) -> None:
    with pytest.raises(InstanceError, match="SeriesInstanceUID is not a UID"):
        read_header(_with_raw("SeriesInstanceUID", value))


def test_read_header_calls_an_instance_without_modality_other() -> None:
    assert read_header(_ct(Modality=None)).modality == "OT"


def test_read_header_reads_implicit_elements_behind_an_explicit_transfer_syntax() -> None:
    dataset = pydicom.dcmread(BytesIO(CT))
    plain = Dataset({tag: dataset[tag] for tag in dataset.keys()})  # noqa: SIM118 -- tags, not elements
    stream = BytesIO()
    pydicom.dcmwrite(stream, plain, implicit_vr=True, little_endian=True)
    start = CT.index(b"\x08\x00\x05\x00CS")
    assert read_header(CT[:start] + stream.getvalue()).modality == "CT"


# What is cut short.


@pytest.mark.parametrize("length", [0, 100, 131, 200, 1000, len(CT) - 500])
def test_read_header_refuses_an_instance_that_is_cut_short(length: int) -> None:
    with pytest.raises(InstanceError):
        read_header(CT[:length])


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan_truncated.dcm"])
def test_read_header_refuses_samples_that_end_early(name: str) -> None:
    with pytest.raises(InstanceError, match="cut short"):
        read_header(_sample(name))


def test_read_header_refuses_pixel_data_with_fewer_bytes_than_pixels() -> None:
    with pytest.raises(InstanceError, match="32768 bytes expected, 100 there"):
        read_header(_ct(PixelData=b"\0" * 100))


def test_read_header_refuses_encapsulated_pixel_data_that_ends_early(tmp_path: Path) -> None:
    storage = Storage(transfer_syntax_uid=RLELossless)
    (path,) = write_series(tmp_path, shape=(1, 32, 32), storage=storage)
    with pytest.raises(InstanceError, match="cut short"):
        read_header(path.read_bytes()[:-100])


def test_read_header_accepts_colours_that_share_bytes() -> None:
    assert read_header(_sample("SC_ybr_full_422_uncompressed.dcm")).modality == "OT"


def test_read_header_accepts_an_instance_without_pixels() -> None:
    assert read_header(_ct(PixelData=None)).modality == "CT"


def test_read_header_accepts_zeros_behind_the_data_set() -> None:
    assert read_header(_ct(PixelData=None) + b"\0" * 6).modality == "CT"


# Facts.


def test_facts_splits_the_image_type() -> None:
    found = facts("1.2", "CT", {"ImageType": "original\\primary \\"}, ("1.2.3",), 4)
    assert found.image_type == ("ORIGINAL", "PRIMARY")
    assert found.slices == 4


def test_facts_leaves_empty_what_is_not_known() -> None:
    found = facts("1.2", "CT", {}, (), 0)
    assert (found.body_part, found.series_description, found.image_type) == ("", "", ())


def test_facts_count_every_frame_of_a_multi_frame_instance_as_a_slice() -> None:
    found = facts("1.2", "CT", {"NumberOfFrames": "120"}, ("1.2.3",), instances=2)
    assert found.slices == 240


@pytest.mark.parametrize("text", ["", "0", "-3", "many"])
def test_facts_count_an_instance_as_one_slice_otherwise(text: str) -> None:
    assert facts("1.2", "CT", {"NumberOfFrames": text}, ("1.2.3",), instances=2).slices == 2
