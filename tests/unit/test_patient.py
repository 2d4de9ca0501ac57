"""Whose series this is: two patients are never taken for one, and one patient is known again."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation

from medaet.dicom.origin import read_origin
from medaet.dicom.patient import NOBODY, Patient, Verdict, compare
from medaet.testing.phantom import write_series

KEY = b"k" * 32
NOTHING: Mapping[str, str | None] = {}
ANNA = {
    "PatientID": "4711",
    "IssuerOfPatientID": "HOSPITAL",
    "PatientName": "Meier^Anna",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
}


def _patient(
    folder: Path, changed: Mapping[str, str | None] = NOTHING, *, key: bytes = KEY
) -> Patient:
    """Write a series of a patient, and read whose it is."""

    def change(dataset: Dataset, _number: int) -> None:
        for keyword, value in {**ANNA, **changed}.items():
            if value is None and keyword in dataset:
                delattr(dataset, keyword)
            elif value is not None:
                setattr(dataset, keyword, value)

    folder = folder / str(len(list(folder.iterdir())))
    with disable_value_validation():
        return read_origin(write_series(folder, shape=(2, 4, 4), change=change), key).patient


def test_the_same_patient_is_the_same(tmp_path: Path) -> None:
    assert compare(_patient(tmp_path), _patient(tmp_path)) == (Verdict.SAME, ())


@pytest.mark.parametrize(
    "changed",
    [
        {"PatientName": "MEIER^ANNA^^"},
        {"PatientName": " Meier ^Anna  "},
        {"PatientName": "Meier^Anna=ideographic=phonetic"},
        {"PatientID": "4711 "},
        {"PatientBirthDate": "1970.01.01"},
        {"PatientSex": None},
        {"PatientBirthDate": None},
        {"PatientName": None},
        {"PatientBirthDate": "00000000"},
    ],
)
def test_ways_of_writing_do_not_make_another_patient(
    tmp_path: Path, changed: dict[str, str | None]
) -> None:
    assert compare(_patient(tmp_path), _patient(tmp_path, changed))[0] is Verdict.SAME


@pytest.mark.parametrize(
    ("changed", "keywords"),
    [
        ({"PatientName": "Meyer^Anna"}, ("PatientName",)),
        ({"PatientName": "Meier^Anne"}, ("PatientName",)),
        ({"PatientName": "Anna^Meier"}, ("PatientName",)),
        ({"PatientName": "Meier^Anna^Maria"}, ("PatientName",)),
        ({"PatientName": "Meier^Anna^^^Dr"}, ("PatientName",)),
        ({"PatientBirthDate": "19700102"}, ("PatientBirthDate",)),
        ({"PatientBirthDate": "19710101"}, ("PatientBirthDate",)),
        ({"PatientSex": "M"}, ("PatientSex",)),
        ({"PatientSex": "O"}, ("PatientSex",)),
        ({"IssuerOfPatientID": "OTHER HOSPITAL"}, ("IssuerOfPatientID",)),
        ({"IssuerOfPatientID": None}, ("IssuerOfPatientID",)),
        ({"PatientName": None, "PatientBirthDate": None}, ("PatientName", "PatientBirthDate")),
        ({"PatientName": "^^", "PatientBirthDate": ""}, ("PatientName", "PatientBirthDate")),
    ],
)
def test_the_same_id_with_anything_that_disagrees_is_doubtful(
    tmp_path: Path, changed: dict[str, str | None], keywords: tuple[str, ...]
) -> None:
    found = compare(_patient(tmp_path), _patient(tmp_path, changed))
    assert found == (Verdict.DOUBTFUL, keywords)


@pytest.mark.parametrize("other", ["4712", "04711", "4711A", "471", "4711.", "IV.XI", "4 711"])
def test_another_id_is_another_patient_whatever_else_agrees(tmp_path: Path, other: str) -> None:
    found = compare(_patient(tmp_path), _patient(tmp_path, {"PatientID": other}))
    assert found[0] is Verdict.OTHER


@pytest.mark.parametrize(
    "no_id", ["", "0", "000", "XXXX", "-", "anon", "UNKNOWN", " none ", "Test", "N/A", "?"]
)
def test_an_id_that_is_none_is_nobody_s(tmp_path: Path, no_id: str) -> None:
    found = compare(
        _patient(tmp_path, {"PatientID": no_id}), _patient(tmp_path, {"PatientID": no_id})
    )
    assert found == (Verdict.DOUBTFUL, ("PatientID",))


def test_of_many_near_twins_no_two_are_paired(tmp_path: Path) -> None:
    """Every combination of near values: only equal ones are the same."""
    values = {
        "PatientID": ("4711", "4712"),
        "IssuerOfPatientID": ("HOSPITAL", None),
        "PatientName": ("Meier^Anna", "Meier^Hanna"),
        "PatientBirthDate": ("19700101", "19700110"),
        "PatientSex": ("F", "M"),
    }
    twins = [
        _patient(tmp_path, dict(zip(values, one, strict=True)))
        for one in itertools.product(*values.values())
    ]
    same = [
        (a, b)
        for a, b in itertools.combinations(range(len(twins)), 2)
        if compare(twins[a], twins[b])[0] is Verdict.SAME
    ]
    assert len(twins) == 32
    assert same == []


def test_a_series_of_two_patients_is_nobody_s(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.PatientID = "4711" if number else "4712"

    assert read_origin(write_series(tmp_path, change=change), KEY).patient == NOBODY


def test_a_series_that_cannot_be_read_is_nobody_s(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    paths[1].write_bytes(b"no DICOM")
    assert read_origin(paths, KEY).patient == NOBODY


def test_accents_are_letters_of_their_own_but_not_their_encoding(tmp_path: Path) -> None:
    composed, apart = "M\u00fcller^\u00c9va", "Mu\u0308ller^E\u0301va"
    first = _patient(tmp_path, {"PatientName": composed})
    assert compare(first, _patient(tmp_path, {"PatientName": apart}))[0] is Verdict.SAME
    plain = _patient(tmp_path, {"PatientName": "Muller^Eva"})
    assert compare(first, plain)[0] is Verdict.DOUBTFUL


def test_hashes_hold_nothing_that_can_be_read_and_differ_by_key(tmp_path: Path) -> None:
    one, other = _patient(tmp_path), _patient(tmp_path, key=b"q" * 32)
    assert not any(value in repr(one) for value in ANNA.values() if len(value) > 1)
    assert {one.patient_id, one.name}.isdisjoint({other.patient_id, other.name})


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({}, "2026-01-01T12:00:00"),
        (
            {"AcquisitionDate": "20260203", "AcquisitionTime": "040506.7"},
            "2026-02-03T04:05:06",
        ),
        ({"AcquisitionDateTime": "20260203040506.123456+0100"}, "2026-02-03T04:05:06"),
        ({"AcquisitionDateTime": "202602030405-0500"}, "2026-02-03T04:05:00"),
        (
            {"AcquisitionDate": "2026.02.03", "AcquisitionTime": "04:05:06"},
            "2026-02-03T04:05:06",
        ),
        ({"AcquisitionDate": "20261301", "AcquisitionTime": "00"}, "2026-01-01T12:00:00"),
        ({"AcquisitionTime": None}, "2026-01-01T00:00:00"),
        (
            dict.fromkeys(
                f"{one}{what}"
                for one in ("Acquisition", "Series", "Study")
                for what in ("Date", "Time")
            ),
            None,
        ),
    ],
)
def test_the_moment_of_acquisition_is_read_from_what_there_is(
    tmp_path: Path, changed: dict[str, str | None], wanted: str | None
) -> None:
    def change(dataset: Dataset, _number: int) -> None:
        for keyword, value in changed.items():
            setattr(dataset, keyword, value or "")

    with disable_value_validation():
        found = read_origin(write_series(tmp_path, change=change), KEY)
    assert (found.acquired_at and found.acquired_at.isoformat()) == wanted
