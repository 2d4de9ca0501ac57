"""Boxes and classifications: checked when made, kept as files, written into reports, and proven there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from medaet import Box, Classification, Detection, Findings, Measurement
from medaet.dicom.codes import LUNG, MILLIMETRE, Code
from medaet.errors import FindingsError, ProofError
from medaet.plugin import folder as kept
from medaet.plugin.mask import BoxMask
from medaet.results.objects import Encoded, Source
from medaet.results.proof import Expectation
from medaet.results.proof_of_report import Account, prove_report
from medaet.results.recipe import KEY_OBJECTS, PDF, SUMMARY, Recipe, ReportForm
from medaet.results.sr import comments
from medaet.testing.phantom import write_series
from medaet.testing.run import algorithm, encoded, source_of
from tests.unit.cases import ORIENTATIONS, SHAPE, SPACING_MM, changed

NODULE = Code("27925004", "SCT", "Nodule")
LENGTH = Code("410668003", "SCT", "Length")
FIRST = Detection("Nodule 1", Box((1.5, 2.25, 3), (4, 7, 9.5)), NODULE, 0.875, anatomic_region=LUNG)
SECOND = Detection("Nodule 2", Box((5.25, 8, 10), (6, 12, 15.5)), NODULE, 0.5)
PRESENT = Classification("Emphysema", Code("87433001", "SCT", "Emphysema"), True, 0.93)
ABSENT = Classification("Pneumonia", Code("233604007", "SCT", "Pneumonia"), False, 0.02)
FOUND = Findings(
    detections=[FIRST, SECOND],
    classifications=[PRESENT, ABSENT],
    measurements=[Measurement(LENGTH, 4.5, MILLIMETRE, "Nodule 1")],
)


def source(folder: Path, **options: object) -> Source:
    settings: dict[str, object] = {"shape": SHAPE, "spacing_mm": SPACING_MM, "seed": 1}
    return source_of(write_series(folder / "ct", **{**settings, **options}))  # type: ignore[arg-type]


def report(made: list[Encoded]) -> Dataset:
    return pydicom.dcmread(next(one.path for one in made if one.kind == "SR"))


def groups(dataset: Dataset) -> list[Dataset]:
    (container,) = [
        item
        for item in dataset.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "126010"
    ]
    return list(container.ContentSequence)


def corners(group: Dataset) -> set[tuple[float, ...]]:
    faces = [item for item in group.ContentSequence if item.ValueType == "SCOORD3D"]
    assert len(faces) == 6
    points = np.concatenate([np.array(face.GraphicData).reshape(-1, 3) for face in faces])
    return {tuple(point) for point in np.round(points, 3).tolist()}


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_the_corners_of_a_box_lie_in_the_patient_where_the_slices_say(
    orientation: tuple[float, ...], tmp_path: Path
) -> None:
    given = source(tmp_path, orientation=orientation)
    made = encoded(FOUND, given)
    headers = [pydicom.dcmread(path) for path in given.paths["ct"]]
    normal = np.cross(orientation[:3], orientation[3:])
    headers.sort(key=lambda one: float(np.dot(normal, one.ImagePositionPatient)))
    first = np.array(headers[0].ImagePositionPatient, dtype=float)
    step = np.array(headers[1].ImagePositionPatient, dtype=float) - first
    along = np.array(orientation[:3]) * SPACING_MM[2], np.array(orientation[3:]) * SPACING_MM[1]
    wanted = {
        tuple(np.round(first + s * step + r * along[1] + c * along[0], 3).tolist())
        for s in (1.5, 4)
        for r in (2.25, 7)
        for c in (3, 9.5)
    }
    found = corners(groups(report(made))[0])
    assert len(found) == 8
    nearest = [min(np.linalg.norm(np.subtract(a, b)) for b in found) for a in wanted]
    assert max(nearest) <= 2e-3  # both are rounded
    proof = made[-1].proof
    assert proof["boxes"] == 2
    assert float(str(proof["corner_distance_mm"])) < 1e-3


def test_a_report_names_each_box_says_what_it_is_and_how_certain(tmp_path: Path) -> None:
    first, second, *_ = groups(report(encoded(FOUND, source(tmp_path))))
    named = {item.ConceptNameCodeSequence[0].CodeValue: item for item in first.ContentSequence}
    assert named["112039"].TextValue == "Nodule 1"
    assert named["121071"].ConceptCodeSequence[0].CodeValue == NODULE.value
    certainty = named["111012"].MeasuredValueSequence[0]
    assert float(certainty.NumericValue) == 87.5
    assert certainty.MeasurementUnitsCodeSequence[0].CodeValue == "%"
    assert named["410668003"].MeasuredValueSequence[0].NumericValue == 4.5
    assert first.ContentTemplateSequence[0].TemplateIdentifier == "1411"
    assert corners(first) != corners(second)


def test_a_report_says_of_each_class_whether_it_is_there_and_how_likely(tmp_path: Path) -> None:
    dataset = report(encoded(FOUND, source(tmp_path)))
    told = {}
    for group in groups(dataset)[2:]:
        named = {item.ConceptNameCodeSequence[0].CodeValue: item for item in group.ContentSequence}
        code = named["121071"].ConceptCodeSequence[0].CodeValue
        verdict = named[code].ConceptCodeSequence[0].CodeMeaning
        percent = float(named["111012"].MeasuredValueSequence[0].NumericValue)
        told[named["112039"].TextValue] = (verdict, percent)
    assert told == {"Emphysema": ("Detected", 93.0), "Pneumonia": ("Not detected", 2.0)}


def test_boxes_become_points_where_the_report_knows_no_third_dimension(tmp_path: Path) -> None:
    recipe = Recipe(report=ReportForm(three_dimensional=False))
    made = encoded(FOUND, source(tmp_path), recipe=recipe)
    types = [{item.ValueType for item in one.ContentSequence} for one in groups(report(made))]
    assert ["SCOORD" in one for one in types] == [False] * 4 + [True] * 2
    assert not any("SCOORD3D" in one for one in types)


def test_boxes_are_in_pictures_key_images_and_the_document(tmp_path: Path) -> None:
    recipe = Recipe(extras=frozenset({KEY_OBJECTS, PDF, SUMMARY}))
    made = encoded(FOUND, source(tmp_path), recipe=recipe)
    assert {"KO", "PDF", "SC", "SR"} <= {one.kind for one in made}
    assert "SEG" not in {one.kind for one in made}


SPOILS: dict[str, tuple[Callable[[Dataset], None], str]] = {}


def spoils(words: str) -> Callable[[Callable[[Dataset], None]], Callable[[Dataset], None]]:
    def keep(change: Callable[[Dataset], None]) -> Callable[[Dataset], None]:
        SPOILS[change.__name__] = (change, words)
        return change

    return keep


def _face(dataset: Dataset) -> Dataset:
    found: Dataset = next(
        item for item in groups(dataset)[0].ContentSequence if item.ValueType == "SCOORD3D"
    )
    return found


@spoils("is 0.0100 mm away")
def a_corner_moved(dataset: Dataset) -> None:
    places = [float(place) for place in _face(dataset).GraphicData]
    places[3] += 0.01
    _face(dataset).GraphicData = places


@spoils("goes across its middle")
def two_corners_changed_over(dataset: Dataset) -> None:
    places = np.array(_face(dataset).GraphicData).reshape(-1, 3)
    places[[1, 2]] = places[[2, 1]]
    _face(dataset).GraphicData = places.ravel().tolist()


@spoils("does not have six faces")
def a_face_left_out(dataset: Dataset) -> None:
    group = groups(dataset)[0]
    group.ContentSequence = [one for one in group.ContentSequence if one is not _face(dataset)]


@spoils("another frame of reference")
def another_frame_of_reference(dataset: Dataset) -> None:
    _face(dataset).ReferencedFrameOfReferenceUID = "1.2.3"


@spoils("measurements of 'Nodule 1'")
def another_certainty(dataset: Dataset) -> None:
    for item in groups(dataset)[0].ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == "111012":
            item.MeasuredValueSequence[0].NumericValue = "88"
            item.MeasuredValueSequence[0].FloatingPointValue = 88.0


@spoils("does not say of 'Emphysema'")
def the_opposite(dataset: Dataset) -> None:
    for item in groups(dataset)[2].ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == PRESENT.code.value:
            item.ConceptCodeSequence[0].CodeValue = "260415000"


@spoils("is named")
def another_name(dataset: Dataset) -> None:
    for item in groups(dataset)[0].ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == "112039":
            item.TextValue = "Nodule 9"


@pytest.mark.parametrize(("change", "words"), SPOILS.values(), ids=SPOILS)
def test_the_proof_notices(change: Callable[[Dataset], None], words: str, tmp_path: Path) -> None:
    given = source(tmp_path)
    (made,) = encoded(FOUND, given)
    expected = Account(
        FOUND.resolved(given.volumes),
        sources=[Expectation.of((), given.volumes["ct"], given.paths["ct"])],
        segmentations=[],
        sentences=comments(FOUND, algorithm()),
        roles=["ct"],
    )
    assert prove_report(made.path, expected)["boxes"] == 2
    with pytest.raises(ProofError, match=words):
        prove_report(changed(made.path, change), expected)


def test_findings_are_kept_with_their_boxes_and_classes(tmp_path: Path) -> None:
    given = replace(FOUND, detections=[replace(FIRST, role="ct"), SECOND])
    kept.save(given, tmp_path)
    found = kept.load(tmp_path)
    assert list(found.detections) == given.detections
    assert list(found.classifications) == given.classifications


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Box((0, 0, 0), (1, 0, 1)), "which is nothing"),
        (lambda: Box((0, 0, float("nan")), (1, 1, 1)), "not finite"),
        (lambda: replace(FIRST, score=1.2), "between 0 and 1"),
        (lambda: replace(FIRST, label=""), "1 to 64 characters"),
        (lambda: Findings(detections=[FIRST, FIRST]), "same label"),
        (lambda: Findings(detections=[FIRST], classifications=[replace(ABSENT, label="Nodule 1")]), "same label"),
        (lambda: Findings(measurements=[Measurement(LENGTH, 1, MILLIMETRE, "Nodule 1")]), "names 'Nodule 1'"),
    ],
    ids=["no extent", "not finite", "score", "no label", "twice", "twice in two ways", "unknown"],
)  # fmt: skip
def test_findings_that_cannot_be_right_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(FindingsError, match=words):
        make()


def test_a_box_outside_of_its_series_and_a_volume_without_a_mask_are_refused(
    tmp_path: Path,
) -> None:
    volumes = source(tmp_path).volumes
    outside = replace(FIRST, box=Box((8, 0, 0), (9, 1, 1)))
    with pytest.raises(FindingsError, match="lies outside of its series"):
        Findings(detections=[outside]).resolved(volumes)
    unmeasured = Findings(detections=[FIRST], measurements=[Measurement.volume(of="Nodule 1")])
    with pytest.raises(FindingsError, match="has no mask"):
        unmeasured.resolved(volumes)


def test_the_mask_of_a_box_holds_the_voxels_whose_centres_lie_in_it() -> None:
    shape = (6, 7, 8)
    mask = BoxMask(Box((0.5, 1, -3), (2, 1.4, 2.9)), shape)
    wanted = np.zeros(shape, bool)
    wanted[1:3, 1:2, 0:3] = True
    assert np.array_equal(mask.whole(), wanted)
    assert mask.counts.tolist() == wanted.sum(axis=(1, 2)).tolist()
    assert all(np.array_equal(mask.plane(k), wanted[k]) for k in range(6))
    assert all(np.array_equal(mask.across(1, k), wanted[:, k]) for k in range(7))
    assert all(np.array_equal(mask.across(2, k), wanted[:, :, k]) for k in range(8))
    assert mask.total(np.ones(shape)) == wanted.sum()
    tiny = BoxMask(Box((2.6, 2.6, 2.6), (2.9, 2.9, 2.9)), shape)
    assert tiny.whole()[3, 3, 3]
