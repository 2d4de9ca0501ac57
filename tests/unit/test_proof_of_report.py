"""The proof of a report: what it counts, and everything that it must not let through."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset

from medaet.dicom.codes import LUNG, NOT_DETECTED
from medaet.errors import ProofError
from medaet.plugin.findings import Evaluation, Findings
from tests.unit.cases import Case


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path / "series")


def untouched(dataset: Dataset) -> None:
    """Change nothing."""


def group(dataset: Dataset, index: int) -> Dataset:
    container: Dataset = next(
        item
        for item in dataset.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "126010"
    ).ContentSequence[index]
    return container


def child(item: Dataset, code: str) -> Dataset:
    found: Dataset = next(
        each for each in item.ContentSequence if each.ConceptNameCodeSequence[0].CodeValue == code
    )
    return found


def test_proof_of_a_report_counts_what_it_compared(case: Case) -> None:
    assert case.prove_report(untouched) == {
        "groups": 2,
        "measurements": 2,
        "segment_references": 2,
        "images": 8,
    }


def test_proof_of_a_report_catches_another_value(case: Case) -> None:
    left, right = case.findings.measurements
    altered = Findings(
        segments=case.findings.segments,
        measurements=[replace(left, value=0.0563), right],
    )
    with pytest.raises(ProofError, match="measurements of 'Left box'"):
        case.prove_report(untouched, altered)


def test_proof_of_a_report_catches_another_unit(case: Case) -> None:
    def swap(dataset: Dataset) -> None:
        volume = child(group(dataset, 1), "118565006").MeasuredValueSequence[0]
        volume.MeasurementUnitsCodeSequence[0].CodeValue = "mm3"

    with pytest.raises(ProofError, match="measurements of 'Right box'"):
        case.prove_report(swap)


def test_proof_of_a_report_catches_a_reference_to_another_segment(case: Case) -> None:
    def swap(dataset: Dataset) -> None:
        target = child(group(dataset, 0), "121191").ReferencedSOPSequence[0]
        target.ReferencedSegmentNumber = 2

    with pytest.raises(ProofError, match="'Left box' refers to another segment"):
        case.prove_report(swap)


def test_proof_of_a_report_catches_a_missing_group(case: Case) -> None:
    def drop(dataset: Dataset) -> None:
        for item in dataset.ContentSequence:
            if item.ConceptNameCodeSequence[0].CodeValue == "126010":
                del item.ContentSequence[1]

    with pytest.raises(ProofError, match="1 measurement groups for 2 findings"):
        case.prove_report(drop)


def test_proof_of_a_report_catches_missing_evidence(case: Case) -> None:
    def drop(dataset: Dataset) -> None:
        study = dataset.CurrentRequestedProcedureEvidenceSequence[0]
        del study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]

    with pytest.raises(ProofError, match="lacks 1 instances"):
        case.prove_report(drop)


def test_proof_of_a_report_catches_a_reference_to_an_image_that_is_no_evidence(case: Case) -> None:
    def swap(dataset: Dataset) -> None:
        library = next(
            item
            for item in dataset.ContentSequence
            if item.ConceptNameCodeSequence[0].CodeValue == "111028"
        )
        image = library.ContentSequence[0].ContentSequence[-1]
        image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "2.25.99"

    with pytest.raises(ProofError, match="refers to 1 instances that are no evidence"):
        case.prove_report(swap)


def test_proof_of_a_report_catches_a_missing_sentence(case: Case) -> None:
    def drop(dataset: Dataset) -> None:
        del dataset.ContentSequence[-1]

    with pytest.raises(ProofError, match="0 comments are not the 2 expected"):
        case.prove_report(drop)


def test_proof_of_a_report_catches_another_patient(case: Case) -> None:
    with pytest.raises(ProofError, match="PatientID differ"):
        case.prove_report(lambda dataset: setattr(dataset, "PatientID", "someone"))


def test_proof_of_a_report_catches_another_template(case: Case) -> None:
    def rename(dataset: Dataset) -> None:
        dataset.ContentTemplateSequence[0].TemplateIdentifier = "2000"

    with pytest.raises(ProofError, match="expected 1500"):
        case.prove_report(rename)


def test_proof_of_a_report_catches_another_completion(case: Case) -> None:
    with pytest.raises(ProofError, match="the report is PARTIAL, expected COMPLETE"):
        case.prove_report(lambda dataset: setattr(dataset, "CompletionFlag", "PARTIAL"))


def test_proof_of_a_report_catches_a_missing_evaluation(case: Case) -> None:
    told = replace(case.findings, evaluations=[Evaluation(LUNG, NOT_DETECTED, "Left box")])
    with pytest.raises(ProofError, match="lacks 1 coded statements"):
        case.prove_report(untouched, told)
