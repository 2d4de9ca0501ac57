"""The summary: pictures of what was found as Secondary Capture images, for viewers that show no segmentation."""

from collections.abc import Sequence

import highdicom
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from medaet.dicom.volume import Volume
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.results.algorithm import Algorithm
from medaet.results.colours import Colour, colours
from medaet.results.header import (
    SERIES_NUMBERS,
    complete,
    equipment,
    leave_side_open,
    put_body_part,
)
from medaet.results.multi_frame import references
from medaet.results.panel import grey_window, panels
from medaet.results.picture import TEXT, Size, picture
from medaet.results.preview import BACKGROUND, legend
from medaet.results.source import SourceSeries
from medaet.results.stand_in import classic

WARNING = "NOT FOR DIAGNOSTIC USE"
CUT: Size = (896, 768)
_BANNER_HEIGHT, _LINE_HEIGHT, _MARGIN = 56, 30, 16
_LEGEND_LINES = 12
_ALARM = (255, 176, 59)

Pixels = NDArray[np.uint8]


def summary_pictures(volume: Volume, findings: Findings, algorithm: Algorithm) -> list[Pixels]:
    """Draw the cuts that show most of what was found, each with a banner that warns, and a legend with volumes in ml.

    Returns:
        (row, column, 3) red, green and blue each; all of one size. No patient data is in them.
    """
    found = [
        one for one in findings.segments if one.count and one.voxels.shape == volume.voxels.shape
    ]
    palette = colours(findings.segments)
    window = grey_window(volume, found)
    lines = _lines(findings.segments, volume)
    return [
        _framed(picture(panel, window, palette, CUT), lines, palette, algorithm.readable_title)
        for panel in panels(volume, found)
    ]


def summary(
    pixels: Pixels,
    series: SourceSeries,
    algorithm: Algorithm,
    *,
    number: int,
    what: str = "summary",
) -> Dataset:
    """Encode one picture.

    Args:
        pixels: (row, column, 3).
        series: What it shows.
        algorithm: The run.
        number: Of the picture in its series, from 1.
        what: "summary", or "fused" for pictures of two inputs.

    Source:
        PS3.3 §A.8.1, §C.8.6.1.
    """
    kind = "SC" if what == "summary" else what
    dataset: Dataset = highdicom.sc.SCImage.from_ref_dataset(
        ref_dataset=classic(series),
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=algorithm.uid(kind, "series", series.role),
        series_number=SERIES_NUMBERS[kind],
        sop_instance_uid=algorithm.uid(kind, "instance", series.role, str(number)),
        instance_number=number,
        patient_orientation=("L", "P"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **equipment(algorithm, series.first),
    )
    dataset.PatientOrientation = ""  # letters in the picture say it; cuts go in all directions
    dataset.ConversionType = "SYN"
    dataset.BurnedInAnnotation = "NO"  # of the patient; what is written in it names the analysis
    dataset.DerivationDescription = f"Summary of an analysis by software, {WARNING.lower()}"
    dataset.SourceImageSequence = references(series)
    complete(dataset, series, algorithm, what)
    dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = (
        dataset.ContentDate,
        dataset.ContentTime,
    )
    put_body_part(dataset, series.first)
    leave_side_open(dataset)
    return dataset


def _framed(
    cut: Image.Image,
    lines: Sequence[tuple[str, str]],
    palette: dict[str, Colour],
    title: str,
) -> Pixels:
    height = _BANNER_HEIGHT + CUT[1] + len(lines) * _LINE_HEIGHT + _MARGIN
    sheet = Image.new("RGB", (CUT[0], height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 6), WARNING, _ALARM, ImageFont.load_default(22))
    draw.text((_MARGIN, 30), f"MedAET: {title[:80]}", TEXT, ImageFont.load_default(17))
    sheet.paste(cut, (0, _BANNER_HEIGHT))
    for number, (label, words) in enumerate(lines):
        top = _BANNER_HEIGHT + CUT[1] + 8 + number * _LINE_HEIGHT
        draw.rectangle((_MARGIN, top, _MARGIN + 20, top + 20), fill=palette.get(label, TEXT))
        draw.text((_MARGIN + 32, top), words, TEXT, ImageFont.load_default(19))
    return np.asarray(sheet)


def _lines(segments: Sequence[Segment], volume: Volume) -> list[tuple[str, str]]:
    lines = legend(segments, volume)
    if len(lines) > _LEGEND_LINES:
        lines[_LEGEND_LINES:] = [("", f"and {len(lines) - _LEGEND_LINES} more")]
    return lines
