import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from medaet.dicom.codes import LUNG
from medaet.errors import EncodingError
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.results.objects import Encoded, Source
from medaet.testing.phantom import write_series
from medaet.testing.run import algorithm, encoded, source_of, two_boxes

SHAPE = (8, 16, 16)
VERBATIM = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "SpecificCharacterSet",
)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return write_series(tmp_path / "series", shape=SHAPE, spacing_mm=(2.0, 1.0, 1.0), seed=1)


def results(paths: list[Path], key: str = "k") -> list[Encoded]:
    source = source_of(paths)
    return encoded(two_boxes(source.volumes["ct"]), source, algorithm(instance_key=key))


def read(result: Encoded) -> Dataset:
    return pydicom.dcmread(result.path)


def change(paths: list[Path], **values: object) -> None:
    """Give every slice other attributes; None removes one."""
    for path in paths:
        dataset = pydicom.dcmread(path)
        for keyword, value in values.items():
            if value is not None:
                setattr(dataset, keyword, value)
            elif keyword in dataset:
                delattr(dataset, keyword)
        dataset.save_as(path)


def test_encode_makes_one_segmentation_and_one_report(paths: list[Path]) -> None:
    assert [result.kind for result in results(paths)] == ["SEG", "SR"]


def test_encode_gives_the_same_bytes_for_the_same_run(paths: list[Path]) -> None:
    first, second = results(paths), results(paths)
    assert [result.path for result in first] != [result.path for result in second]
    assert [result.content for result in first] == [result.content for result in second]


def test_encode_does_not_depend_on_the_order_of_the_files(paths: list[Path]) -> None:
    assert [one.content for one in results(paths)] == [one.content for one in results(paths[::-1])]


def test_encode_gives_other_uids_for_another_run(paths: list[Path]) -> None:
    one, other = results(paths, "k"), results(paths, "l")
    for first, second in zip(one, other, strict=True):
        assert first.sop_instance_uid != second.sop_instance_uid
        assert first.series_instance_uid != second.series_instance_uid


def test_encode_puts_each_kind_in_a_series_of_its_own(paths: list[Path]) -> None:
    assert len({result.series_instance_uid for result in results(paths)}) == 2


def test_encode_takes_times_from_the_start_of_the_run_at_the_source_offset(
    paths: list[Path],
) -> None:
    change(paths, TimezoneOffsetFromUTC="-0330")
    for dataset in map(read, results(paths)):
        assert (dataset.SeriesDate, dataset.SeriesTime) == ("20261123", "150015.250000")
        assert (dataset.ContentDate, dataset.ContentTime) == ("20261123", "150015.250000")
        assert dataset.InstanceCreationTime == "150015.250000"
        assert dataset.TimezoneOffsetFromUTC == "-0330"


def test_encode_copies_patient_and_study_verbatim(paths: list[Path]) -> None:
    change(
        paths,
        PatientName="Doe^Jane^^Dr=\u5c71\u7530",
        PatientID="4711",
        IssuerOfPatientID="Town Hospital",
        PatientSex="F",
        AccessionNumber="A-9",
        StudyDescription="Thorax",
        StudyDate="20200101",
    )
    wanted = pydicom.dcmread(paths[0])
    for dataset in map(read, results(paths)):
        for keyword in VERBATIM:
            assert dataset.get(keyword) == wanted.get(keyword), keyword


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "M\u00fcller^J\u00fcrgen"),
        ("ISO_IR 144", "\u0418\u0432\u0430\u043d\u043e\u0432^\u0418\u0432\u0430\u043d"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"),
        ("GB18030", "Wang^XiaoDong=\u738b^\u5c0f\u4e1c"),
    ],
)
def test_encode_keeps_names_of_every_character_set(
    paths: list[Path], character_set: str | list[str], name: str
) -> None:
    change(paths, SpecificCharacterSet=character_set, PatientName=name)
    for dataset in map(read, results(paths)):
        assert dataset.PatientName == name
        assert dataset.SpecificCharacterSet == character_set


def test_encode_fits_its_own_words_into_the_character_set_of_the_source(paths: list[Path]) -> None:
    change(paths, SpecificCharacterSet=None)
    source = source_of(paths)
    mask = two_boxes(source.volumes["ct"]).segments[0].mask
    findings = Findings(segments=[Segment("L\u00e4sion \u03b1", mask, LUNG)])
    segmentation, _ = encoded(findings, source, algorithm())
    assert read(segmentation).SegmentSequence[0].SegmentLabel == "Lasion ?"


def test_encode_fills_absent_type_2_attributes_with_nothing(paths: list[Path]) -> None:
    absent = ("PatientID", "PatientBirthDate", "StudyID", "AccessionNumber", "StudyTime")
    change(paths, **dict.fromkeys(absent))
    for dataset in map(read, results(paths)):
        assert [dataset[keyword].value or "" for keyword in absent] == [""] * len(absent)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientSex", "X"),
        ("PatientName", "No Caret"),
        ("StudyDate", "2020.01.01"),
        ("PatientBirthDate", "19500000"),
        ("Manufacturer", ""),
        ("SliceThickness", None),
        ("SliceThickness", 0),
        ("SpacingBetweenSlices", -99),
        ("PositionReferenceIndicator", None),
        ("SoftwareVersions", ["a" * 70, "b"]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning:pydicom")
def test_encode_takes_odd_headers_as_they_are(
    paths: list[Path], keyword: str, value: object
) -> None:
    change(paths, **{keyword: value})
    assert [result.kind for result in results(paths)] == ["SEG", "SR"]


def test_encode_leaves_out_an_attribute_of_an_unknown_value_representation(
    paths: list[Path],
) -> None:
    change(paths, PatientWeight="61.5")
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"\x10\x00\x30\x10DS", b"\x10\x00\x30\x10ZZ"))
    for dataset in map(read, results(paths)):
        assert "PatientWeight" not in dataset


def test_encode_never_repeats_a_malformed_name_in_a_warning(paths: list[Path]) -> None:
    change(paths, PatientName="No Caret")
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"20260101", b"1950-1-1"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results(paths)
    assert not [each for each in caught if "Caret" in str(each.message)]


def test_encode_says_in_the_series_that_it_is_not_for_diagnostic_use(paths: list[Path]) -> None:
    assert [read(result).SeriesDescription for result in results(paths)] == [
        "Phantom segmentation segmentation, not for diagnostic use",
        "Phantom segmentation report, not for diagnostic use",
    ]


def test_encode_cuts_a_long_title_but_never_the_warning(paths: list[Path]) -> None:
    source = source_of(paths)
    findings = two_boxes(source.volumes["ct"])
    for result in encoded(findings, source, algorithm(title="word " * 30)):
        description = read(result).SeriesDescription
        assert len(description) <= 64
        assert description.endswith("not for diagnostic use")


def test_encode_changes_the_device_with_the_weights(paths: list[Path]) -> None:
    source = source_of(paths)
    findings = two_boxes(source.volumes["ct"])
    uids = [
        read(encoded(findings, source, algorithm(weights_sha256=weights))[0])
        .ContributingEquipmentSequence[-1]
        .DeviceUID
        for weights in ("ab" * 32, "cd" * 32)
    ]
    assert uids[0] != uids[1]


def test_encode_signs_with_its_version_and_a_purpose(paths: list[Path]) -> None:
    for dataset in map(read, results(paths)):
        mine = dataset.ContributingEquipmentSequence[-1]
        assert mine.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert mine.SoftwareVersions[0] == "1.2.3"
        assert dataset.Manufacturer == "MedAET"
        assert dataset.DeviceSerialNumber == "ab" * 8


def test_encode_makes_no_segmentation_when_nothing_was_found(paths: list[Path]) -> None:
    source = source_of(paths)
    empty = Segment("Left box", np.zeros(SHAPE, bool), LUNG)
    found = encoded(Findings(segments=[empty]), source, algorithm())
    assert [result.kind for result in found] == ["SR"]


def test_encode_makes_one_segmentation_for_each_input_with_findings(tmp_path: Path) -> None:
    ct = write_series(tmp_path / "ct", shape=SHAPE, seed=1)
    mr = write_series(tmp_path / "mr", modality="MR", shape=SHAPE, origin=(5, 5, 5), seed=2)
    one, two = source_of(ct), source_of(mr, role="mr")
    source = Source({**one.paths, **two.paths}, {**one.volumes, **two.volumes})
    left, right = two_boxes(one.volumes["ct"]).segments
    findings = Findings(
        segments=[
            Segment(left.label, left.mask, left.code, role="ct"),
            Segment(right.label, right.mask, right.code, role="mr"),
        ]
    )
    first, second, report = encoded(findings, source, algorithm())
    assert [first.kind, second.kind, report.kind] == ["SEG", "SEG", "SR"]
    assert read(second).FrameOfReferenceUID == pydicom.dcmread(mr[0]).FrameOfReferenceUID
    assert report.proof["segment_references"] == 2


def test_encode_names_further_inputs_of_the_same_study_behind_the_displayed_series(
    tmp_path: Path,
) -> None:
    one = source_of(write_series(tmp_path / "one", shape=SHAPE, seed=1), role="one")
    paths = write_series(tmp_path / "two", shape=SHAPE, seed=2)
    study = pydicom.dcmread(one.paths["one"][0]).StudyInstanceUID
    change(paths, StudyInstanceUID=study)
    two = source_of(paths, role="two")
    source = Source({**one.paths, **two.paths}, {**one.volumes, **two.volumes})
    left, _ = two_boxes(one.volumes["one"]).segments
    findings = Findings(segments=[Segment(left.label, left.mask, left.code, role="two")])
    segmentation, _ = encoded(findings, source, algorithm())
    named = [item.SeriesInstanceUID for item in read(segmentation).ReferencedSeriesSequence]
    assert named == [
        pydicom.dcmread(path).SeriesInstanceUID for path in (paths[0], one.paths["one"][0])
    ]


def test_encode_refuses_a_volume_whose_files_are_gone(paths: list[Path]) -> None:
    source = source_of(paths)
    short = replace(source, paths={"ct": paths[1:]})
    with pytest.raises(EncodingError, match=r"no file for 1 of its 8 SOP instances"):
        encoded(two_boxes(source.volumes["ct"]), short, algorithm())
