"""A recipe: which objects are made of findings, and in which form."""

from dataclasses import dataclass

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from medaet.results.form import Form, Kind

LabelMapSegmentationStorage = UID("1.2.840.10008.5.1.4.1.1.66.7")

SUMMARY, KEY_OBJECTS, MAPS, PDF, FRACTIONAL = (
    *("summary", "key-objects", "maps", "pdf"),
    "probabilities",
)
EXTRAS = {
    SUMMARY: SecondaryCaptureImageStorage,
    KEY_OBJECTS: KeyObjectSelectionDocumentStorage,
    MAPS: ParametricMapStorage,
    PDF: EncapsulatedPDFStorage,
    FRACTIONAL: SegmentationStorage,
}
"""What can be sent beside segmentation and report, and the SOP class that it takes."""


@dataclass(frozen=True, slots=True)
class ReportForm:
    """How the report is encoded.

    Attributes:
        three_dimensional: Comprehensive 3D SR; else Comprehensive SR, which older archives know.
        points: Whether every structure gets a point in the patient, for viewers that show measurements only where they
            can be drawn.
        segments: Whether groups refer to the segmentation; false where it is not sent.
    """

    three_dimensional: bool = True
    points: bool = False
    segments: bool = True

    @property
    def sop_class_uid(self) -> UID:
        """The SOP class it takes."""
        return Comprehensive3DSRStorage if self.three_dimensional else ComprehensiveSRStorage


BINARY = Form()
FULL_REPORT = ReportForm()


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is made.

    Attributes:
        segmentation: None for none.
        report: None for none.
        extras: Some of `EXTRAS`.
    """

    segmentation: Form | None = BINARY
    report: ReportForm | None = FULL_REPORT
    extras: frozenset[str] = frozenset()

    @property
    def makes_something(self) -> bool:
        """Whether there is anything to make."""
        return bool(self.segmentation or self.report or self.extras)

    @property
    def variant(self) -> tuple[str, ...]:
        """What distinguishes its report from the one of the plain recipe, for UIDs; nothing for that one itself."""
        form, report = self.segmentation, self.report or FULL_REPORT
        kind = form.kind.value if form and report.segments else "none"
        words = [
            kind if kind != Kind.BINARY else "",
            str(form.maximum_frames) if form and form.maximum_frames and report.segments else "",
            "" if report.three_dimensional else "comprehensive",
            "points" if report.points else "",
        ]
        return (" ".join(words),) if any(words) else ()


PLAIN = Recipe()


def sop_class_of(form: Form) -> UID:
    """Return the SOP class that a segmentation takes."""
    return LabelMapSegmentationStorage if form.kind is Kind.LABELMAP else SegmentationStorage
