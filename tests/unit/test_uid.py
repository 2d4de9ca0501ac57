"""UIDs that follow from the work they name."""

import uuid

import pydicom
import pytest

from medaet.dicom.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, derived_uid
from medaet.errors import EncodingError


def test_derived_uid_repeats_for_the_same_parts() -> None:
    assert derived_uid("a", "b") == derived_uid("a", "b")


def test_derived_uid_is_the_same_in_every_release() -> None:
    # SHA-256 of eight bytes of length and "a", its first 16 bytes, with version and variant put in.
    assert derived_uid("a") == "2.25.78556527361325075225961833706058362748"


def test_derived_uid_differs_when_parts_are_joined_elsewhere() -> None:
    assert derived_uid("ab", "c") != derived_uid("a", "bc")


def test_derived_uid_differs_when_parts_change_places() -> None:
    assert derived_uid("a", "b") != derived_uid("b", "a")


def test_derived_uid_is_a_valid_uid() -> None:
    assert all(pydicom.uid.UID(derived_uid(str(number))).is_valid for number in range(100))


def test_derived_uid_is_a_uuid_of_version_8() -> None:
    assert uuid.UUID(int=int(derived_uid("a").removeprefix("2.25."))).version == 8


def test_derived_uid_refuses_to_name_nothing() -> None:
    with pytest.raises(EncodingError, match="at least one part"):
        derived_uid()


def test_implementation_class_uid_is_a_valid_uid() -> None:
    assert pydicom.uid.UID(IMPLEMENTATION_CLASS_UID).is_valid


def test_implementation_version_name_fits_its_16_characters() -> None:
    assert 0 < len(IMPLEMENTATION_VERSION_NAME) <= 16
