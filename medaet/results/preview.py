"""Previews: pictures of what was found. No patient data is in them."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from medaet.dicom.volume import Volume
from medaet.plugin.findings import Findings
from medaet.plugin.mask import BoxMask
from medaet.plugin.segment import Segment
from medaet.results.colours import Colour, colours
from medaet.results.panel import grey_window, panels
from medaet.results.picture import TEXT, TILE, picture

COLUMNS = 3
LEGEND_LINES = 30
_MARGIN = 16
_TITLE_HEIGHT, _LEGEND_LINE = 44, 26
BACKGROUND, _FAINT = (16, 18, 22), (150, 156, 164)


def write_preview(path: Path, volume: Volume, findings: Findings, *, title: str) -> None:
    """Write a PNG with slices, a reformat, coloured contours and a legend with volumes in ml.

    Args:
        path: Where to; replaced when it exists.
        volume: The series to show.
        findings: Segments on other grids than the volume's are left out.
        title: Names the analysis; must not name the patient.
    """
    found = [
        segment
        for segment in findings.segments
        if segment.voxels.shape == volume.voxels.shape and segment.count
    ]
    palette = colours(findings.segments)
    window = grey_window(volume, found)
    pictures = [picture(panel, window, palette) for panel in panels(volume, found)]
    lines = legend(findings.segments, volume)
    rows = -(-len(pictures) // COLUMNS)
    width = COLUMNS * (TILE[0] + _MARGIN) + _MARGIN
    top = _TITLE_HEIGHT + _MARGIN
    bottom = top + rows * (TILE[1] + _MARGIN)
    sheet = Image.new("RGB", (width, bottom + len(lines) * _LEGEND_LINE + _MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), title, TEXT, ImageFont.load_default(24))
    for index, one in enumerate(pictures):
        row, column = divmod(index, COLUMNS)
        left = _MARGIN + column * (TILE[0] + _MARGIN)
        sheet.paste(one, (left, top + row * (TILE[1] + _MARGIN)))
    for line, (label, words) in enumerate(lines):
        _draw_legend_line(draw, bottom + line * _LEGEND_LINE, palette.get(label, _FAINT), words)
    sheet.save(path, format="PNG", compress_level=1)  # smaller takes ten times as long


def legend(segments: Sequence[Segment], volume: Volume) -> list[tuple[str, str]]:
    """Return the label of each segment on the grid of a volume, and what to say of it."""
    lines = []
    for segment in segments:
        count = segment.count
        if segment.voxels.shape != volume.voxels.shape:
            continue
        if isinstance(
            segment.voxels, BoxMask
        ):  # its volume is that of the box, which means nothing
            lines.append((segment.label, segment.label))
            continue
        amount = f"{count * volume.voxel_ml:,.1f} ml" if count else "not detected"
        lines.append((segment.label, f"{segment.label}: {amount}"))
    if len(lines) > LEGEND_LINES:
        lines[LEGEND_LINES:] = [("", f"and {len(lines) - LEGEND_LINES} more")]
    return lines or [("", "Nothing was segmented.")]


def _draw_legend_line(draw: ImageDraw.ImageDraw, top: int, colour: Colour, words: str) -> None:
    draw.rectangle((_MARGIN, top + 3, _MARGIN + 18, top + 19), fill=colour)
    draw.text((_MARGIN + 30, top), words, TEXT, ImageFont.load_default(18))
