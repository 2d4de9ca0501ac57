"""The header of one instance, and the refusal of everything that is not one."""

import contextlib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from medaet.dicom.header import facts, read_header
from medaet.dicom.uid import derived_uid
from medaet.errors import InstanceError


def _sample(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


CT = _sample("CT_small.dcm")


def test_read_header_finds_uids_and_modality() -> None:
    header = read_header(CT)
    dataset = pydicom.dcmread(BytesIO(CT))
    assert header.sop_instance_uid == dataset.SOPInstanceUID
    assert header.series_instance_uid == dataset.SeriesInstanceUID
    assert header.study_instance_uid == dataset.StudyInstanceUID
    assert header.modality == "CT"


def test_read_header_keeps_no_patient_attribute() -> None:
    assert not [key for key in read_header(CT).series_attributes if key.startswith("Patient")]


@pytest.mark.parametrize("length", [0, 100, 131, 200, 1000, len(CT) - 500])
def test_read_header_refuses_an_instance_that_is_cut_short(length: int) -> None:
    with pytest.raises(InstanceError):
        read_header(CT[:length])


def test_read_header_refuses_pixel_data_that_ends_early() -> None:
    with pytest.raises(InstanceError, match="cut short"):
        read_header(_sample("MR_truncated.dcm"))


def test_read_header_accepts_deflated_data_sets() -> None:
    assert read_header(_sample("image_dfl.dcm")).sop_instance_uid


def test_read_header_refuses_a_uid_that_is_a_path() -> None:
    dataset = pydicom.dcmread(BytesIO(CT))
    uid = str(dataset.SeriesInstanceUID)
    hostile = CT.replace(uid.encode(), b"../" + uid.encode()[3:])
    with pytest.raises(InstanceError, match="SeriesInstanceUID is not a UID"):
        read_header(hostile)


@settings(max_examples=200, deadline=None)
@given(position=st.integers(132, 2000), value=st.integers(0, 255))
def test_read_header_gives_a_header_or_an_instance_error_for_any_byte(
    position: int, value: int
) -> None:
    damaged = bytearray(CT)
    damaged[position] = value
    with contextlib.suppress(InstanceError):
        assert read_header(bytes(damaged)).sop_instance_uid


def test_facts_splits_the_image_type() -> None:
    found = facts("1.2", "CT", {"ImageType": "original\\primary"}, ("1.2.3",), 4)
    assert found.image_type == ("ORIGINAL", "PRIMARY")
    assert found.slices == 4


def test_derived_uid_repeats_for_the_same_parts() -> None:
    assert derived_uid("a", "b") == derived_uid("a", "b")


def test_derived_uid_differs_when_parts_are_joined_elsewhere() -> None:
    assert derived_uid("ab", "c") != derived_uid("a", "bc")


def test_derived_uid_is_a_valid_uid() -> None:
    assert pydicom.uid.UID(derived_uid("a")).is_valid
