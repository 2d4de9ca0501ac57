"""Fused pictures: the cuts of one input, of another one on its grid, and of both over each other."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medaet.dicom.volume import Volume
from medaet.plugin.findings import Findings
from medaet.plugin.registration import Resampled
from medaet.results.colours import colours
from medaet.results.panel import Panel, grey_window, panels
from medaet.results.picture import TEXT, Size, annotate, picture, size_in
from medaet.results.preview import BACKGROUND
from medaet.results.sc import WARNING, Pixels

TILE: Size = (448, 448)
OPACITY = 0.75
"""Of the brightest of the moved image; what is dark in it lets the fixed image through."""

_MARGIN, _BANNER, _FONT = 16, 56, 20
_ALARM = (255, 176, 59)

Window = tuple[float, float]


def fused_pictures(
    fixed: Volume, one: Resampled, modality: str, findings: Findings, title: str
) -> list[Pixels]:
    """Draw the cuts that show most of what was found: the fixed image, the moved one, and both.

    Args:
        fixed: The volume whose grid counts.
        one: The other one on that grid.
        modality: The other one's.
        findings: Segments on the fixed grid are outlined.
        title: Names the analysis; must not name the patient.

    Returns:
        (row, column, 3) red, green and blue each; all of one size. No patient data is in them.
    """
    rows = _rows(fixed, one, modality, findings)
    return [_framed(row, one, title) for row in rows]


def write_fused(path: Path, pictures: Sequence[Pixels]) -> None:
    """Write fused pictures under each other as one PNG."""
    Image.fromarray(np.concatenate(pictures)).save(path, format="PNG", compress_level=1)


def _rows(
    fixed: Volume, one: Resampled, modality: str, findings: Findings
) -> list[tuple[Image.Image, ...]]:
    moved = replace(fixed, voxels=one.voxels, modality=modality, padding=None)
    found = [
        segment for segment in findings.segments if segment.role == one.fixed and segment.count
    ]
    palette = colours(findings.segments)
    windows = grey_window(fixed, ()), grey_window(moved, ())
    pairs = zip(panels(fixed, found), panels(moved, found), strict=True)
    return [
        (
            picture(here, windows[0], palette, TILE),
            picture(there, windows[1], palette, TILE),
            _blended(here, there, windows),
        )
        for here, there in pairs
    ]


def _blended(here: Panel, there: Panel, windows: tuple[Window, Window]) -> Image.Image:
    """Lay the moved cut over the fixed one: from transparent through red and yellow to white."""
    size = size_in(here, TILE)
    grey, light = (
        _scaled(panel, window, size) for panel, window in zip((here, there), windows, strict=True)
    )
    share = OPACITY * np.sqrt(light)[..., None]
    hot = np.clip(3 * light[..., None] - np.arange(3), 0, 1)
    both = (1 - share) * grey[..., None] + share * hot
    drawn = Image.new("RGB", TILE, (0, 0, 0))
    corner = ((TILE[0] - size[0]) // 2, (TILE[1] - size[1]) // 2)
    drawn.paste(Image.fromarray((255 * both).astype(np.uint8)), corner)
    annotate(drawn, here)
    return drawn


def _scaled(panel: Panel, window: Window, size: Size) -> NDArray[np.float32]:
    low, high = window
    grey = np.clip((panel.pixels - low) / (high - low), 0, 1).astype(np.float32)
    scaled = Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(scaled, dtype=np.float32)


def _framed(row: Sequence[Image.Image], one: Resampled, title: str) -> Pixels:
    width = len(row) * (TILE[0] + _MARGIN) + _MARGIN
    sheet = Image.new("RGB", (width, _BANNER + TILE[1] + 2 * _FONT + _MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 6), WARNING, _ALARM, ImageFont.load_default(22))
    draw.text((_MARGIN, 30), f"MedAET: {title[:80]}", TEXT, ImageFont.load_default(17))
    captions = (one.fixed, f"{one.moving} on {one.fixed}", "both")
    for number, (tile, caption) in enumerate(zip(row, captions, strict=True)):
        left = _MARGIN + number * (TILE[0] + _MARGIN)
        sheet.paste(tile, (left, _BANNER))
        draw.text((left, _BANNER + TILE[1] + 8), caption, TEXT, ImageFont.load_default(_FONT))
    return np.asarray(sheet)
