"""Pictures of a run: curves, and the slices where prediction and truth disagree most. No patient data is in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medaet.compute.training.case import Labelled

Colour = tuple[int, int, int]

BACKGROUND: Colour = (16, 18, 22)
TEXT: Colour = (236, 238, 240)
FAINT: Colour = (96, 102, 110)
TRUTH: Colour = (64, 200, 120)
FOUND: Colour = (240, 90, 80)
LINES: tuple[Colour, ...] = (
    (90, 170, 255),
    (255, 176, 64),
    (64, 200, 120),
    (232, 96, 208),
    (240, 90, 80),
)
WIDTH, HEIGHT, MARGIN = 620, 300, 44
CASE_SIDE, CASE_SLICES = 320, 3
WINDOWS = {"chest": (-1000.0, 400.0)}
SMALLEST_SPAN = 1e-6


def curves(title: str, lines: Mapping[str, Sequence[float]]) -> Image.Image:
    """Draw lines over the epochs, each with its name and its last value."""
    sheet = Image.new("RGB", (WIDTH, HEIGHT + 22 * len(lines)), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(16)
    draw.text((MARGIN, 10), title, TEXT, ImageFont.load_default(18))
    values = [value for line in lines.values() for value in line if np.isfinite(value)]
    if not values:
        return sheet
    low, high = min(0.0, *values), max(values)
    span = max(high - low, SMALLEST_SPAN)
    for share in (0.0, 0.5, 1.0):
        y = HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)
        draw.line((MARGIN, y, WIDTH - 12, y), FAINT)
        draw.text((4, y - 8), f"{low + share * span:.2f}", FAINT, ImageFont.load_default(12))
    for number, (name, line) in enumerate(lines.items()):
        colour = LINES[number % len(LINES)]
        across = (WIDTH - 12 - MARGIN) / max(1, len(line) - 1)
        points = [
            (MARGIN + at * across, HEIGHT - MARGIN - (value - low) / span * (HEIGHT - 2 * MARGIN))
            for at, value in enumerate(line)
            if np.isfinite(value)
        ]
        if len(points) > 1:
            draw.line(points, colour, 2)
        draw.text((MARGIN, HEIGHT - 20 + 22 * number), f"{name}: {line[-1]:.4f}", colour, font)
    draw.text((WIDTH - 70, HEIGHT - MARGIN + 6), "epochs", FAINT, ImageFont.load_default(12))
    return sheet


def disagreement(one: Labelled, found: NDArray[np.uint8], title: str) -> Image.Image:
    """Draw the slices where most voxels differ; truth in green, prediction in red."""
    differing = (found != one.labels).sum(axis=(1, 2))
    worst = sorted(np.argsort(differing)[::-1][:CASE_SLICES].tolist())
    sheet = Image.new("RGB", (CASE_SLICES * (CASE_SIDE + 8), CASE_SIDE + 30), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((6, 4), title, TEXT, ImageFont.load_default(16))
    low, high = _window(one)
    for number, at in enumerate(worst):
        grey = np.clip((one.volume.voxels[at] - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        size = _size(one)
        canvas = np.asarray(Image.fromarray(grey).convert("RGB").resize(size)).copy()
        for labels, colour in ((one.labels[at], TRUTH), (found[at], FOUND)):
            canvas[_borders(labels, size)] = colour
        tile = Image.fromarray(canvas)
        ImageDraw.Draw(tile).text((4, 4), f"slice {at + 1}", TEXT, ImageFont.load_default(13))
        sheet.paste(tile, (number * (CASE_SIDE + 8), 28))
    return sheet


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Put pictures below each other."""
    width = max(one.width for one in pictures)
    sheet = Image.new("RGB", (width, sum(one.height + 8 for one in pictures)), BACKGROUND)
    top = 0
    for one in pictures:
        sheet.paste(one, (0, top))
        top += one.height + 8
    return sheet


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, format="PNG", optimize=True)


def _window(one: Labelled) -> tuple[float, float]:
    if one.volume.modality == "CT":
        return WINDOWS["chest"]
    low, high = np.percentile(one.volume.voxels[:, ::4, ::4], (1, 99))
    return float(low), float(max(high, low + SMALLEST_SPAN))


def _size(one: Labelled) -> tuple[int, int]:
    """Return width and height in pixels such that a millimetre is as long across as down."""
    _, rows, columns = one.labels.shape
    _, row_mm, column_mm = one.volume.spacing_mm
    scale = CASE_SIDE / max(rows * row_mm, columns * column_mm)
    return max(1, round(columns * column_mm * scale)), max(1, round(rows * row_mm * scale))


def _borders(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.bool_]:
    large = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
    edge = np.zeros(large.shape, dtype=np.bool_)
    edge[:-1] |= large[:-1] != large[1:]
    edge[:, :-1] |= large[:, :-1] != large[:, 1:]
    return edge
