"""Odd patients: names in every script, absent attributes, long UIDs and leap days, through every object and judge."""

from collections.abc import Mapping
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from medaet.results.objects import Encoded
from medaet.results.recipe import EXTRAS, KEY_OBJECTS, PLAIN, Recipe
from medaet.testing.phantom import write_series
from medaet.testing.run import encoded, source_of, two_boxes
from tests.readers import complaints_of_dcentvfy, errors_by_dciodvfy

pytestmark = pytest.mark.interop

EVERYTHING = Recipe(extras=frozenset(EXTRAS))
LONG = "1.2.826.0.1.3680043.8.498." + "9" * 37
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")

NAMES: dict[str, tuple[str | list[str], str]] = {
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Japanese, single byte": (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "Chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "Chinese in Unicode": ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    "Cyrillic": ("ISO_IR 144", "Иванов^Иван^Иванович"),
    "Greek": ("ISO_IR 126", "Διονυσιος"),
    "Arabic": ("ISO_IR 127", "قباني^لنزار"),
}
ABSENT = (  # noqa: SIM905 -- keywords read best as words
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber "
    "ReferringPhysicianName"
).split()


def results(folder: Path, values: Mapping[str, object], recipe: Recipe = PLAIN) -> list[Encoded]:
    """Encode and prove results on a series whose instances say other things, or nothing where the value is None."""

    def change(dataset: Dataset, number: int) -> None:
        for keyword, value in values.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, f"{value}{number}" if keyword in INSTANCE else value)

    source = source_of(write_series(folder / "ct", shape=(8, 32, 32), change=change))
    return encoded(two_boxes(source.volumes["ct"]), source, recipe=recipe)


INSTANCE = ("SOPInstanceUID",)


def assert_judges_agree(folder: Path, made: list[Encoded]) -> None:
    assert {one.path.name: errors_by_dciodvfy(one.path) for one in made} == {
        one.path.name: [] for one in made
    }
    assert complaints_of_dcentvfy([*(folder / "ct").iterdir(), *(one.path for one in made)]) == []


@pytest.mark.parametrize("script", NAMES)
def test_name_in_any_script_is_in_every_result(tmp_path: Path, script: str) -> None:
    character_set, name = NAMES[script]
    recipe = EVERYTHING if script == "Japanese" else PLAIN
    made = results(tmp_path, {"SpecificCharacterSet": character_set, "PatientName": name}, recipe)
    for one in made:
        dataset = pydicom.dcmread(one.path)
        assert (dataset.PatientName, dataset.SpecificCharacterSet) == (name, character_set)
    assert_judges_agree(tmp_path, made)


def test_attributes_that_are_absent_are_empty_and_nothing_is_invented(tmp_path: Path) -> None:
    made = results(tmp_path, dict.fromkeys(ABSENT), EVERYTHING)
    for one in made:
        dataset = pydicom.dcmread(one.path, stop_before_pixels=True)
        assert [keyword for keyword in ABSENT if dataset[keyword].value] == []
        assert errors_by_dciodvfy(one.path) == []


def test_issuer_of_the_patient_id_and_other_ids_are_repeated(tmp_path: Path) -> None:
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID, other.TypeOfPatientID = "77-1", "Old Hospital", "TEXT"
    values = {"IssuerOfPatientID": "Town Hospital", "OtherPatientIDsSequence": [other]}
    made = results(tmp_path, values)
    for one in made:
        dataset = pydicom.dcmread(one.path, stop_before_pixels=True)
        assert dataset.IssuerOfPatientID == "Town Hospital"
        assert dataset.OtherPatientIDsSequence == [other]
    assert_judges_agree(tmp_path, made)


def test_uids_of_64_characters_are_repeated_and_referred_to(tmp_path: Path) -> None:
    values = {keyword: f"{LONG}{number}" for number, keyword in enumerate(UIDS, 1)}
    assert {len(uid) for uid in values.values()} == {64}
    recipe = Recipe(extras=frozenset({KEY_OBJECTS}))
    made = results(tmp_path, {**values, "SOPInstanceUID": LONG}, recipe)
    for one in made:
        dataset = pydicom.dcmread(one.path, stop_before_pixels=True)
        assert dataset.StudyInstanceUID == values["StudyInstanceUID"]
        assert len(dataset.SOPInstanceUID) <= 64
        if one.kind == "SEG":
            assert dataset.FrameOfReferenceUID == values["FrameOfReferenceUID"]
            series = dataset.ReferencedSeriesSequence[0]
            assert series.SeriesInstanceUID == values["SeriesInstanceUID"]
    assert_judges_agree(tmp_path, made)


def test_leap_days_are_dates(tmp_path: Path) -> None:
    values = {"PatientBirthDate": "20000229", "StudyDate": "20240229", "SeriesDate": "20240229"}
    made = results(tmp_path, values)
    for one in made:
        dataset = pydicom.dcmread(one.path, stop_before_pixels=True)
        assert (dataset.PatientBirthDate, dataset.StudyDate) == ("20000229", "20240229")
    assert_judges_agree(tmp_path, made)
