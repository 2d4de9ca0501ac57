"""Maps, pictures, key objects and documents: proven, and refused when anything in them is altered."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from medaet import Findings, ParametricMap
from medaet.dicom.codes import NO_UNITS, Code
from medaet.errors import ProofError
from medaet.results.ko import key_planes
from medaet.results.objects import Encoded, Source
from medaet.results.original import read_original
from medaet.results.proof_of_extras import (
    prove_document,
    prove_key_objects,
    prove_map,
    prove_picture,
)
from medaet.results.recipe import EXTRAS, Recipe
from medaet.testing.phantom import write_series
from medaet.testing.run import encoded, source_of, two_boxes
from tests.unit.cases import changed

MAP = Code("2135-2", "99TEST", "Probability")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return source_of(write_series(tmp_path / "series", shape=(8, 16, 16)))


@pytest.fixture
def findings(source: Source) -> Findings:
    volume = source.volumes["ct"]
    ramp = np.arange(volume.voxels.size, dtype=np.float32).reshape(volume.voxels.shape)
    boxes = two_boxes(volume)
    return Findings(segments=boxes.segments, maps=[ParametricMap("Ramp", ramp, MAP, NO_UNITS)])


@pytest.fixture
def results(source: Source, findings: Findings) -> dict[str, Encoded]:
    made = encoded(findings, source, recipe=Recipe(extras=frozenset(EXTRAS)))
    return {one.kind: one for one in made}


Change = Callable[[Dataset], None]


@pytest.fixture
def prove(
    source: Source, findings: Findings, results: dict[str, Encoded]
) -> Callable[[str, Change], dict[str, object]]:
    """Prove one kind of result again after a change."""
    volume, paths = source.volumes["ct"], source.paths["ct"]
    original = read_original(paths, volume.planes[0].sop_instance_uid)
    resolved = findings.resolved(source.volumes)
    series = source.series()["ct"]

    def run(kind: str, change: Change) -> dict[str, object]:
        before = pydicom.dcmread(results[kind].path)
        path = changed(results[kind].path, change)
        if kind == "PM":
            return prove_map(path, resolved.maps[0], volume, original)
        if kind == "SC":
            return prove_picture(path, before.pixel_array, volume, original, marked=True)
        if kind == "KO":
            return prove_key_objects(path, key_planes(resolved, series), {"ct": original})
        return prove_document(path, before.EncapsulatedDocument, original)

    return run


def nothing(dataset: Dataset) -> None:
    """Change nothing."""


@pytest.mark.parametrize("kind", ["PM", "SC", "KO", "PDF"])
def test_untouched_object_is_proven_again(
    prove: Callable[[str, Change], dict[str, object]], results: dict[str, Encoded], kind: str
) -> None:
    assert prove(kind, nothing) == results[kind].proof


def swap_patient(dataset: Dataset) -> None:
    dataset.PatientID = "SOMEONE-ELSE"


def swap_study(dataset: Dataset) -> None:
    dataset.StudyInstanceUID = "1.2.3"


@pytest.mark.parametrize("kind", ["PM", "SC", "KO", "PDF"])
@pytest.mark.parametrize("change", [swap_patient, swap_study])
def test_object_of_another_patient_or_study_is_refused(
    prove: Callable[[str, Change], dict[str, object]], kind: str, change: Change
) -> None:
    with pytest.raises(ProofError):
        prove(kind, change)


def alter_number(dataset: Dataset) -> None:
    numbers = np.frombuffer(dataset.FloatPixelData, np.float32).copy()
    numbers[300] += 1
    dataset.FloatPixelData = numbers.tobytes()


def alter_unit(dataset: Dataset) -> None:
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    mapping.MeasurementUnitsCodeSequence[0].CodeValue = "mm"


def mirror(dataset: Dataset) -> None:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (alter_number, "frame 2 of map 'Ramp'"),
        (alter_unit, "has unit 'mm'"),
        (mirror, "out of the source"),
    ],
)
def test_map_with_another_number_unit_or_place_is_refused(
    prove: Callable[[str, Change], dict[str, object]], change: Change, said: str
) -> None:
    with pytest.raises(ProofError, match=said):
        prove("PM", change)


def repaint(dataset: Dataset) -> None:
    dataset.PixelData = b"\x07" + dataset.PixelData[1:]


def unmark(dataset: Dataset) -> None:
    dataset.SeriesDescription = "Lungs"


def name_a_stranger(dataset: Dataset) -> None:
    dataset.SourceImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (repaint, "not what was drawn"),
        (unmark, "not for diagnostic use"),
        (name_a_stranger, "not in its source"),
    ],
)
def test_picture_that_was_repainted_or_unmarked_is_refused(
    prove: Callable[[str, Change], dict[str, object]], change: Change, said: str
) -> None:
    with pytest.raises(ProofError, match=said):
        prove("SC", change)


def select_another(dataset: Dataset) -> None:
    evidence = dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    used = {str(item.ReferencedSOPInstanceUID) for item in evidence.ReferencedSOPSequence}
    images = [item for item in dataset.ContentSequence if item.ValueType == "IMAGE"]
    images[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = min(used)
    images[1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = min(used)


def test_selection_of_another_image_is_refused(
    prove: Callable[[str, Change], dict[str, object]],
) -> None:
    with pytest.raises(ProofError, match="the selection lacks 1 images"):
        prove("KO", select_another)


def test_document_of_other_bytes_is_refused(
    prove: Callable[[str, Change], dict[str, object]],
) -> None:
    def rewrite(dataset: Dataset) -> None:
        dataset.EncapsulatedDocument = dataset.EncapsulatedDocument[:-8] + b"12345678"

    with pytest.raises(ProofError, match="not the one that was written"):
        prove("PDF", rewrite)
