"""Previews: pictures of what was found. No patient data is in them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medaet.dicom.volume import Volume
from medaet.plugin.findings import Findings, Segment
from medaet.results.colours import Colour, colours
from medaet.results.panel import Panel, grey_window, panels

PANEL_WIDTH, PANEL_HEIGHT = 400, 400
COLUMNS = 3
_MARGIN = 16
_TITLE_HEIGHT, _LEGEND_LINE = 44, 26
_BACKGROUND, _TEXT, _FAINT = (16, 18, 22), (236, 238, 240), (150, 156, 164)
_FILL = 0.16
_CONTOUR_WIDTH = 2


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
        if segment.shape == volume.voxels.shape and segment.voxel_count
    ]
    palette = colours(findings.segments)
    window = grey_window(volume, found)
    pictures = [_picture(panel, window, palette) for panel in panels(volume, found)]
    legend = _legend(findings.segments, volume)
    rows = -(-len(pictures) // COLUMNS)
    width = COLUMNS * (PANEL_WIDTH + _MARGIN) + _MARGIN
    top = _TITLE_HEIGHT + _MARGIN
    bottom = top + rows * (PANEL_HEIGHT + _MARGIN)
    sheet = Image.new("RGB", (width, bottom + len(legend) * _LEGEND_LINE + _MARGIN), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), title, _TEXT, ImageFont.load_default(24))
    for index, picture in enumerate(pictures):
        row, column = divmod(index, COLUMNS)
        left = _MARGIN + column * (PANEL_WIDTH + _MARGIN)
        sheet.paste(picture, (left, top + row * (PANEL_HEIGHT + _MARGIN)))
    for line, (label, words) in enumerate(legend):
        _draw_legend_line(draw, bottom + line * _LEGEND_LINE, palette.get(label, _FAINT), words)
    sheet.save(path, format="PNG", optimize=True)


def _legend(segments: Sequence[Segment], volume: Volume) -> list[tuple[str, str]]:
    lines = []
    for segment in segments:
        count = segment.voxel_count
        if segment.shape != volume.voxels.shape:
            continue
        amount = f"{count * volume.voxel_ml:,.1f} ml" if count else "not detected"
        lines.append((segment.label, f"{segment.label}: {amount}"))
    return lines or [("", "Nothing was segmented.")]


def _draw_legend_line(draw: ImageDraw.ImageDraw, top: int, colour: Colour, words: str) -> None:
    draw.rectangle((_MARGIN, top + 3, _MARGIN + 18, top + 19), fill=colour)
    draw.text((_MARGIN + 30, top), words, _TEXT, ImageFont.load_default(18))


def _picture(panel: Panel, window: tuple[float, float], palette: dict[str, Colour]) -> Image.Image:
    """Return the panel at its true aspect ratio, centred on a tile."""
    size = _size(panel)
    low, high = window
    grey = np.clip((panel.pixels - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    scaled = Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)
    canvas = np.repeat(np.asarray(scaled, np.float32)[..., None], 3, axis=2)
    for label, mask in panel.masks.items():
        enlarged = _enlarged(mask, size)
        colour = np.array(palette[label], np.float32)
        canvas[enlarged] = (1 - _FILL) * canvas[enlarged] + _FILL * colour
        canvas[_contour(enlarged)] = colour
    tile = Image.new("RGB", (PANEL_WIDTH, PANEL_HEIGHT), (0, 0, 0))
    tile.paste(
        Image.fromarray(canvas.astype(np.uint8)),
        ((PANEL_WIDTH - size[0]) // 2, (PANEL_HEIGHT - size[1]) // 2),
    )
    _annotate(tile, panel)
    return tile


def _size(panel: Panel) -> tuple[int, int]:
    """Return width and height in pixels such that a millimetre is as long across as down."""
    rows, columns = panel.pixels.shape
    height_mm, width_mm = rows * panel.spacing_mm[0], columns * panel.spacing_mm[1]
    scale = min(PANEL_WIDTH / width_mm, PANEL_HEIGHT / height_mm)
    return max(1, round(width_mm * scale)), max(1, round(height_mm * scale))


def _enlarged(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    smooth = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(smooth) >= 128


def _contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of a mask that are near one outside it."""
    inner = mask
    for _ in range(_CONTOUR_WIDTH):
        padded = np.pad(inner, 1, mode="edge")
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _annotate(tile: Image.Image, panel: Panel) -> None:
    draw = ImageDraw.Draw(tile)
    font = ImageFont.load_default(15)
    left, upper = panel.edges
    draw.text(
        (8, PANEL_HEIGHT - 24), panel.caption, _TEXT, font, stroke_width=1, stroke_fill=(0, 0, 0)
    )
    draw.text((8, PANEL_HEIGHT // 2), left, _TEXT, font, stroke_width=1, stroke_fill=(0, 0, 0))
    draw.text((PANEL_WIDTH // 2, 6), upper, _TEXT, font, stroke_width=1, stroke_fill=(0, 0, 0))
