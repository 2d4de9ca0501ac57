from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from medaet.dicom.codes import LUNG, MORPHOLOGIC_ABNORMALITY, PERCENT, Code
from medaet.dicom.ibsi import FEATURES, Aggregation, aggregation_code
from medaet.dicom.stack import Choice
from medaet.dicom.volume import read_volume
from medaet.plugin.findings import Evaluation, Findings, Measurement
from medaet.plugin.segment import Segment
from medaet.results.source import Source
from medaet.testing.phantom import write_series
from medaet.testing.run import algorithm, encoded, source_of, two_boxes

TUMOUR = Code("108369006", "SCT", "Neoplasm")
INDEX = Code("S100", "99TEST", "Index")


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return write_series(tmp_path / "ct", shape=(8, 16, 16), spacing_mm=(2.0, 1.0, 1.0), seed=1)


def documents(paths: list[Path], findings: Findings | None = None) -> list[Dataset]:
    source = source_of(paths)
    found = findings or two_boxes(source.volumes["ct"])
    return [pydicom.dcmread(result.path) for result in encoded(found, source)]


def walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from walk(child)


def named(item: Dataset, code: str) -> list[Dataset]:
    return [each for each in walk(item) if each.ConceptNameCodeSequence[0].CodeValue == code]


def numbers(item: Dataset) -> list[tuple[float, str]]:
    measured = [
        each.MeasuredValueSequence[0] for each in item.ContentSequence if each.ValueType == "NUM"
    ]
    return [
        (float(each.NumericValue), each.MeasurementUnitsCodeSequence[0].CodeValue)
        for each in measured
    ]


def test_report_is_a_comprehensive_3d_sr_after_template_1500(paths: list[Path]) -> None:
    report = documents(paths)[-1]
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert report.ConceptNameCodeSequence[0].CodeValue == "126000"
    template = report.ContentTemplateSequence[0]
    assert (template.MappingResource, template.TemplateIdentifier) == ("DCMR", "1500")


def test_report_is_complete_and_unverified(paths: list[Path]) -> None:
    report = documents(paths)[-1]
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


def test_report_holds_volumes_in_ml(paths: list[Path]) -> None:
    groups = named(documents(paths)[-1], "125007")
    # 60 and 36 voxels of 2 x 1 x 1 mm
    assert [numbers(group) for group in groups] == [[(0.12, "ml")], [(0.072, "ml")]]


def test_report_ties_each_group_to_its_segment(paths: list[Path]) -> None:
    segmentation, report = documents(paths)
    for group, segment in zip(named(report, "125007"), segmentation.SegmentSequence, strict=True):
        assert group.ContentTemplateSequence[0].TemplateIdentifier == "1411"
        target = named(group, "121191")[0].ReferencedSOPSequence[0]
        assert target.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert target.ReferencedSegmentNumber == segment.SegmentNumber
        assert named(group, "112039")[0].TextValue == segment.TrackingID
        assert segment.TrackingUID == named(group, "112040")[0].UID


def test_report_puts_the_tracking_uid_before_every_other_uid(paths: list[Path]) -> None:
    for group in named(documents(paths)[-1], "125007"):
        uids = [item for item in group.ContentSequence if item.ValueType == "UIDREF"]
        assert uids[0].ConceptNameCodeSequence[0].CodeValue == "112040"


def test_report_gives_the_finding_site_as_a_concept_modifier_with_laterality(
    paths: list[Path],
) -> None:
    site = named(documents(paths)[-1], "363698007")[0]
    assert site.RelationshipType == "HAS CONCEPT MOD"
    assert site.ConceptCodeSequence[0].CodeValue == "39607008"
    assert site.ContentSequence[0].ConceptCodeSequence[0].CodeValue == "7771000"


def test_report_lists_the_images_and_the_segmentation_as_evidence(paths: list[Path]) -> None:
    segmentation, report = documents(paths)
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    found = {
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    images = {pydicom.dcmread(path).SOPInstanceUID for path in paths}
    assert found == images | {segmentation.SOPInstanceUID}


def test_report_has_an_image_library_of_the_source_series(paths: list[Path]) -> None:
    library = named(documents(paths)[-1], "111028")[0]
    images = [item for item in walk(library) if item.ValueType == "IMAGE"]
    assert len(images) == 8
    assert named(library, "126200")


def test_report_names_its_device_procedure_and_algorithm(paths: list[Path]) -> None:
    report = documents(paths)[-1]
    assert named(report, "121005")[0].ConceptCodeSequence[0].CodeValue == "121007"
    assert named(report, "121014")[0].TextValue == "MedAET"
    assert named(report, "121058")[0].ConceptCodeSequence[0].CodeValue == "25045-6"
    assert named(report, "111001")[0].TextValue == "phantom-test"
    assert [item.TextValue for item in named(report, "111002")][:4] == [
        f"weights sha256: {'ab' * 32}",
        'settings: {"threshold": 0.5}',
        "device: cpu",
        "seconds: 1.2",
    ]


def test_report_holds_the_warning_the_intended_use_and_the_remarks(paths: list[Path]) -> None:
    findings = two_boxes(source_of(paths).volumes["ct"])
    with_remark = Findings(segments=findings.segments, remarks=["Slices are thick."])
    comments = named(documents(paths, with_remark)[-1], "121106")
    assert [item.TextValue for item in comments] == [
        "Results are not for diagnostic use.",
        "Tests.",
        "Slices are thick.",
    ]


def test_report_groups_what_was_measured_on_the_whole_series(paths: list[Path]) -> None:
    findings = Findings(measurements=[Measurement(INDEX, 12.5, PERCENT)])
    (report,) = documents(paths, findings)
    (group,) = named(report, "125007")
    assert numbers(group) == [(12.5, "%")]
    assert named(group, "112039")[0].TextValue == "Phantom segmentation"


def test_report_says_not_detected_of_an_empty_segment(paths: list[Path]) -> None:
    empty = Segment(
        "Tumour",
        np.zeros((8, 16, 16), bool),
        TUMOUR,
        category=MORPHOLOGIC_ABNORMALITY,
        anatomic_region=LUNG,
    )
    findings = Findings(segments=[empty], measurements=[Measurement.volume(of="Tumour")])
    (report,) = documents(paths, findings)
    (group,) = named(report, "125007")
    assert named(group, TUMOUR.value)[0].ConceptCodeSequence[0].CodeValue == "260415000"
    assert numbers(group) == [(0.0, "ml")]
    assert "Tumour: not detected." in [item.TextValue for item in named(report, "121106")]


def test_report_says_no_finding_when_there_is_none(paths: list[Path]) -> None:
    (report,) = documents(paths, Findings())
    assert named(report, "121071")[0].ConceptCodeSequence[0].CodeValue == "260415000"
    assert "No finding." in [item.TextValue for item in named(report, "121106")]


def test_report_gives_features_with_their_aggregation_and_says_their_settings_once(
    paths: list[Path],
) -> None:
    findings = two_boxes(source_of(paths).volumes["ct"])
    feature = FEATURES["cm_contrast"]
    words = ("discretisation: 32 bins", "rounding: none")
    numbered = [
        Measurement(
            feature.code,
            value,
            feature.unit("CT"),
            "Left box",
            method=aggregation_code(feature, aggregation),
            parameters=words,
        )
        for value, aggregation in ((2.5, Aggregation.MERGED_3D), (3.5, Aggregation.AVERAGED_3D))
    ]
    report = documents(paths, replace(findings, measurements=numbered))[-1]
    group = named(report, "125007")[0]
    items = [item for item in group.ContentSequence if item.ValueType == "NUM"]
    assert [item.ConceptNameCodeSequence[0].CodingSchemeDesignator for item in items] == [
        "IBSI"
    ] * 2
    methods = [named(item, "370129005")[0].ConceptCodeSequence[0].CodeValue for item in items]
    assert methods == ["IAZD", "ITBB"]
    parameters = [item.TextValue for item in named(group, "111002")]
    assert parameters[-2:] == list(words)


def test_report_says_in_words_why_a_measurement_has_no_value(paths: list[Path]) -> None:
    findings = two_boxes(source_of(paths).volumes["ct"])
    absent = [
        Measurement(FEATURES[tag].code, None, of="Left box", absent="the segment has one voxel")
        for tag in ("cm_contrast", "cm_corr")
    ]
    report = documents(paths, replace(findings, measurements=absent))[-1]
    assert numbers(named(report, "125007")[0]) == []
    assert [item.TextValue for item in named(report, "121106")][-1] == (
        "Left box: no value for Contrast of GLCM, Correlation of GLCM, because the segment has one voxel."
    )


# What went wrong, and what is no number.


def test_report_is_partial_when_a_structure_failed(paths: list[Path]) -> None:
    found = two_boxes(source_of(paths).volumes["ct"])
    report = documents(paths, replace(found, failed=["Spleen"]))[-1]
    assert report.CompletionFlag == "PARTIAL"
    assert "Spleen: could not be computed." in [one.TextValue for one in named(report, "121106")]


def test_report_with_nothing_but_failures_is_no_report_of_no_finding(paths: list[Path]) -> None:
    (report,) = documents(paths, Findings(failed=["Spleen"]))
    assert "No finding." not in [one.TextValue for one in named(report, "121106")]


def test_report_codes_the_problems_of_its_input(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "ct", shape=(8, 16, 16), spacing_mm=(2.0, 1.0, 1.0))
    given = [*paths[:2], *paths[3:]]
    volume = read_volume(given, Choice(irregular="resample"))
    source = Source({"ct": given}, {"ct": volume})
    report = pydicom.dcmread(encoded(two_boxes(volume), source)[-1].path)
    (problem,) = named(report, "IN-PROBLEM")
    assert problem.ConceptCodeSequence[0].CodeValue == "IN-MISSING"
    sentences = [one.TextValue for one in named(report, "121106")]
    assert any(one.startswith("1 of 8 slices are missing") for one in sentences)


def test_report_holds_coded_evaluations_of_segments_and_of_the_series(paths: list[Path]) -> None:
    present = Code("52101004", "SCT", "Present")
    evaluations = [
        Evaluation(TUMOUR, present, "Left box"),
        Evaluation(INDEX, present),
    ]
    found = replace(two_boxes(source_of(paths).volumes["ct"]), evaluations=evaluations)
    report = documents(paths, found)[-1]
    left, _, whole = named(report, "125007")
    (tumour,) = named(left, TUMOUR.value)
    assert tumour.ConceptCodeSequence[0].CodeMeaning == "Present"
    assert len(named(whole, INDEX.value)) == 1


def test_report_names_precision_and_memory_steps(paths: list[Path]) -> None:
    source = source_of(paths)
    run = replace(algorithm(), precision="bfloat16", steps=("smaller window batch", "tiles"))
    report = pydicom.dcmread(encoded(two_boxes(source.volumes["ct"]), source, run)[-1].path)
    parameters = {one.TextValue for one in named(report, "111002")}
    assert "precision: bfloat16" in parameters
    assert "memory steps: smaller window batch, tiles" in parameters
