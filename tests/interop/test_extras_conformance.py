"""Maps, probabilities, pictures, key objects and documents: valid by dciodvfy, from classic and enhanced sources."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from medaet import Findings, Measurement, ParametricMap, Segment
from medaet.dicom.codes import LEFT, LUNG, NO_UNITS, RIGHT, Code
from medaet.results.objects import Encoded, Source
from medaet.results.profile import BITS, LABELS, PLAIN_LABELS
from medaet.results.recipe import EXTRAS, Recipe, ReportForm
from medaet.testing.enhanced import write_enhanced
from medaet.testing.phantom import write_series
from medaet.testing.run import encoded, source_of, two_boxes
from tests.readers import complaints_of_dcentvfy, errors_by_dciodvfy

pytestmark = pytest.mark.interop

SHAPE = (8, 32, 32)
PROBABILITY = Code("2135-2", "99TEST", "Probability")
EVERYTHING = Recipe(extras=frozenset(EXTRAS))


def findings(source: Source) -> Findings:
    volume = source.volumes["ct"]
    left, right = two_boxes(volume).segments
    fraction = np.linspace(0, 1, volume.voxels.size).reshape(volume.voxels.shape)
    return Findings(
        segments=[
            Segment("Left", left.mask, LUNG, modifier=LEFT, probability=fraction),
            Segment("Right", right.mask, LUNG, modifier=RIGHT),
        ],
        measurements=[Measurement.volume(of="Left"), Measurement.mean(of="Right")],
        maps=[ParametricMap("Probability", fraction, PROBABILITY, NO_UNITS)],
    )


def source(tmp_path: Path, kind: str) -> Source:
    slices = write_series(tmp_path / "classic", shape=SHAPE, spacing_mm=(2.5, 0.75, 0.5))
    if kind == "classic":
        return source_of(slices)
    return source_of([write_enhanced(slices, tmp_path / "enhanced" / "1.dcm")])


@pytest.mark.parametrize("form", ["classic", "enhanced"])
def test_dciodvfy_finds_no_errors_in_objects_of_any_class(tmp_path: Path, form: str) -> None:
    given = source(tmp_path, form)
    results = encoded(findings(given), given, recipe=EVERYTHING)
    kinds = [one.kind for one in results]
    assert kinds[:5] == ["SEG", "SR", "SEG", "PM", "KO"]
    assert kinds.count("SC") == 6
    assert kinds[-1] == "PDF"
    assert {one.kind: errors_by_dciodvfy(one.path) for one in results} == {
        kind: [] for kind in kinds
    }


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(LABELS),
        Recipe(PLAIN_LABELS, ReportForm(points=True)),
        Recipe(BITS, ReportForm(three_dimensional=False)),
        Recipe(None, ReportForm(segments=False)),
    ],
    ids=["compressed labels", "labels, points", "comprehensive", "report alone"],
)
@pytest.mark.parametrize("kind", ["classic", "enhanced"])
def test_dciodvfy_finds_no_errors_in_any_form(tmp_path: Path, recipe: Recipe, kind: str) -> None:
    given = source(tmp_path, kind)
    results = encoded(findings(given), given, recipe=recipe)
    assert {one.kind: errors_by_dciodvfy(one.path) for one in results} == {
        one.kind: [] for one in results
    }


@pytest.fixture
def results(tmp_path: Path) -> list[Encoded]:
    given = source(tmp_path, "classic")
    return encoded(findings(given), given, recipe=EVERYTHING)


def test_dcentvfy_finds_one_patient_and_study_in_results_and_source(
    tmp_path: Path, results: list[Encoded]
) -> None:
    files = [*(one.path for one in results), *(tmp_path / "classic").iterdir()]
    assert complaints_of_dcentvfy(files) == []


def test_objects_of_one_kind_share_a_series_and_no_two_kinds_do(results: list[Encoded]) -> None:
    series = {(one.kind, one.sop_class_uid, one.series_instance_uid) for one in results}
    assert len({uid for *_, uid in series}) == len(series)
    assert len({one.sop_instance_uid for one in results}) == len(results)


def test_objects_are_the_same_bytes_for_the_same_run(tmp_path: Path) -> None:
    given = source(tmp_path, "classic")
    first, second = (
        [one.content for one in encoded(findings(given), given, recipe=EVERYTHING)]
        for _ in range(2)
    )
    assert first == second


def test_document_is_a_pdf_that_says_what_was_measured(results: list[Encoded]) -> None:
    dataset = pydicom.dcmread(results[-1].path)
    assert dataset.EncapsulatedDocument.startswith(b"%PDF-1.")
    assert dataset.MIMETypeOfEncapsulatedDocument == "application/pdf"


def test_key_objects_are_the_slices_on_which_structures_are_largest(
    results: list[Encoded],
) -> None:
    (selection,) = [one for one in results if one.kind == "KO"]
    assert selection.proof == {"images": 2}
