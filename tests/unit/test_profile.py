"""What each kind of peer gets, and what it gets where it takes something else."""

import pytest
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from medaet.results.form import Kind
from medaet.results.profile import BITS, LABELS, PLAIN_LABELS, PROFILES, Plan, pairs, plan
from medaet.results.recipe import LabelMapSegmentationStorage, ReportForm

EVERYTHING: dict[str, set[str]] = {
    str(uid): {ExplicitVRLittleEndian, JPEGLSLossless}
    for uid in (
        *(SegmentationStorage, LabelMapSegmentationStorage),
        *(Comprehensive3DSRStorage, ComprehensiveSRStorage),
        *(SecondaryCaptureImageStorage, EncapsulatedPDFStorage),
    )
}


def planned(name: str, *refused: UID) -> Plan:
    accepted = {uid: taken for uid, taken in EVERYTHING.items() if uid not in refused}
    return plan(PROFILES[name], accepted)


@pytest.mark.parametrize(
    ("name", "form", "report", "extras"),
    [
        ("default", BITS, ReportForm(), set()),
        ("strict-air", BITS, ReportForm(), set()),
        ("slicer", BITS, ReportForm(), set()),
        ("ohif", LABELS, ReportForm(points=True), set()),
        ("legacy", None, None, {"summary", "pdf"}),
    ],
)
def test_peer_that_takes_everything_gets_what_its_profile_asks_for(
    name: str, form: object, report: object, extras: set[str]
) -> None:
    found = planned(name)
    assert (found.recipe.segmentation, found.recipe.report) == (form, report)
    assert found.recipe.extras == extras
    assert not found.replaced
    assert plan(PROFILES[name], None) == found


def test_archive_without_segmentations_gets_pictures_and_a_report_that_names_none() -> None:
    found = planned("default", SegmentationStorage)
    assert found.recipe.segmentation is None
    assert found.recipe.report == ReportForm(segments=False)
    assert found.recipe.extras == {"summary"}
    (one,) = found.replaced
    assert (one.kind, one.instead) == ("SEG", "summary")


def test_archive_without_three_dimensional_reports_gets_older_ones() -> None:
    found = planned("default", Comprehensive3DSRStorage)
    assert found.recipe.report == ReportForm(three_dimensional=False)
    (one,) = found.replaced
    assert (one.wanted, one.instead) == ("Comprehensive 3D SR Storage", "Comprehensive SR Storage")


def test_archive_without_reports_gets_a_document() -> None:
    found = planned("default", Comprehensive3DSRStorage, ComprehensiveSRStorage)
    assert found.recipe.report is None
    assert found.recipe.extras == {"pdf"}


def test_archive_without_label_maps_or_their_compression_gets_the_next_form() -> None:
    assert planned("ohif", LabelMapSegmentationStorage).recipe.segmentation == BITS
    native: dict[str, set[str]] = {uid: {ExplicitVRLittleEndian} for uid in EVERYTHING}
    found = plan(PROFILES["ohif"], native)
    assert found.recipe.segmentation == PLAIN_LABELS
    assert found.replaced[0].wanted == "Segmentation Storage (label map, JPEG-LS)"


def test_strict_profile_is_never_replaced() -> None:
    found = planned("strict-air", SegmentationStorage, Comprehensive3DSRStorage)
    assert (found.recipe.segmentation, found.recipe.report) == (BITS, ReportForm())


def test_extra_that_the_peer_does_not_take_is_named() -> None:
    found = plan(PROFILES["default"], EVERYTHING, extras=["maps"])
    (one,) = found.replaced
    assert (one.kind, one.instead) == ("maps", "")
    assert not found.recipe.extras


@pytest.mark.parametrize("name", PROFILES)
def test_peer_that_takes_nothing_gets_what_its_profile_asks_for(name: str) -> None:
    """Its refusals become dead letters, which somebody sees."""
    assert plan(PROFILES[name], {}).recipe == planned(name).recipe


def test_limit_of_frames_becomes_part_of_the_form() -> None:
    form = plan(PROFILES["ohif"], None, maximum_frames=400).recipe.segmentation
    assert form is not None
    assert (form.kind, form.maximum_frames) == (Kind.LABELMAP, 400)


def test_forms_that_make_different_bytes_have_different_marks() -> None:
    limited = plan(PROFILES["default"], None, maximum_frames=9).recipe.segmentation
    assert limited is not None
    assert len({BITS.marks, LABELS.marks, PLAIN_LABELS.marks, limited.marks}) == 4
    assert BITS.marks == ()


@pytest.mark.parametrize("name", PROFILES)
def test_all_that_a_profile_may_send_fits_into_one_association(name: str) -> None:
    extras = ["summary", "key-objects", "maps", "pdf", "probabilities"]
    found = pairs(PROFILES[name], extras)
    assert len(set(found)) == len(found) <= 128
