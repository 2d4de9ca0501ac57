"""The report as a PDF: what was found in words, numbers and pictures, for archives that take no structured report."""

import io
from collections.abc import Mapping, Sequence

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from PIL import Image
from pydicom import Dataset

from medaet.plugin.findings import Findings, Measurement
from medaet.results.algorithm import Algorithm
from medaet.results.header import local_time
from medaet.results.sc import WARNING, Pixels

_MARGIN_MM, _PICTURE_MM = 15.0, 86.0
_MOST_PICTURES = 4


class _Page(FPDF):
    """An A4 page with a warning at its foot."""

    def __init__(self, foot: str) -> None:
        super().__init__(format="A4")
        self._foot = foot
        self.set_margin(_MARGIN_MM)
        self.set_auto_page_break(True, 22)

    def footer(self) -> None:
        """Write the foot of each page."""
        self.set_y(-14)
        self.set_font("Helvetica", size=8)
        self.set_text_color(110)
        self.cell(0, 5, f"{self._foot}   page {self.page_no()} of {{nb}}", align="C")


def pdf_report(
    findings: Findings,
    header: Dataset,
    algorithm: Algorithm,
    sentences: Sequence[str],
    pictures: Mapping[str, Sequence[Pixels]],
) -> bytes:
    """Write the report.

    Args:
        findings: Resolved findings.
        header: Header that names patient and study.
        algorithm: The run.
        sentences: What the structured report says in words.
        pictures: By role, (row, column, 3).

    Returns:
        A PDF 1.4 file; the same arguments give the same bytes. Letters that Latin-1 lacks are left out.
    """
    page = _Page(WARNING if algorithm.not_for_diagnostic_use else "")
    began = local_time(algorithm.started_at, header)
    page.set_creation_date(began)
    page.set_title(_latin(algorithm.readable_title))
    page.add_page()
    _line(page, algorithm.readable_title, size=18, style="B", height=10)
    _line(page, f"{algorithm.name} {algorithm.version}, {began:%Y-%m-%d %H:%M %z}", size=9)
    for words in _subject(header):
        _line(page, words, size=10)
    page.ln(3)
    for sentence in sentences:
        _line(page, sentence, size=10)
    page.ln(3)
    _table(page, findings)
    for shown in pictures.values():
        _pictures(page, shown[:_MOST_PICTURES])
    return bytes(page.output())


def _subject(header: Dataset) -> list[str]:
    """Name patient and study as far as the fonts of a PDF have the letters."""
    name = str(header.get("PatientName") or "").split("=")[0].replace("^", " ").strip()
    words = {
        "Patient": name if _latin(name) == name else "",
        "Patient ID": str(header.get("PatientID") or ""),
        "Born": str(header.get("PatientBirthDate") or ""),
        "Accession number": str(header.get("AccessionNumber") or ""),
        "Study": str(header.get("StudyDescription") or ""),
    }
    return [f"{what}: {value}" for what, value in words.items() if value]


def _table(page: FPDF, findings: Findings) -> None:
    """Write a line for each finding and measurement, and one for each segment without any."""
    measured = {item.of for item in findings.measurements}
    for one in findings.detections:
        _line(page, f"{one.label}: {one.code.meaning}, certainty {one.score:.0%}", size=10)
    for each in findings.classifications:
        words = "detected" if each.present else "not detected"
        likely = "" if each.probability is None else f", probability {each.probability:.0%}"
        _line(page, f"{each.label}: {words}{likely}", size=10)
    for item in findings.measurements:
        where = item.of or "Series"
        _line(page, f"{where}: {item.name.meaning} {_value(item)}", size=10, style="")
    for segment in findings.segments:
        if segment.label not in measured:
            words = f"{segment.count} voxels" if segment.count else "not detected"
            _line(page, f"{segment.label}: {words}", size=10)


def _value(item: Measurement) -> str:
    unit = item.unit.meaning if item.unit.value != "1" else ""
    return f"{item.value:.4g} {unit}".strip()


def _pictures(page: FPDF, pictures: Sequence[Pixels]) -> None:
    for number, pixels in enumerate(pictures):
        height_mm = _PICTURE_MM * pixels.shape[0] / pixels.shape[1]
        if number % 2 == 0:
            if page.will_page_break(height_mm):
                page.add_page()
            top = page.get_y() + 2
        left = _MARGIN_MM + (number % 2) * (_PICTURE_MM + 8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, format="PNG")
        page.image(stream, x=left, y=top, w=_PICTURE_MM)
        if number % 2 or number == len(pictures) - 1:
            page.set_y(top + height_mm + 2)


def _line(page: FPDF, words: str, *, size: int, style: str = "", height: float = 5.5) -> None:
    page.set_font("Helvetica", style=style, size=size)
    page.set_text_color(20)
    page.multi_cell(0, height, _latin(words), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _latin(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")
