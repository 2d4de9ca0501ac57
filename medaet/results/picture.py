"""Pictures of cuts: grey values in a window, coloured contours, letters at the edges. No patient data is in them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medaet.results.colours import Colour
from medaet.results.panel import Panel

Size = tuple[int, int]

TILE: Size = (400, 400)
TEXT = (236, 238, 240)
_FILL = 0.16
_CONTOUR_WIDTH = 2


def picture(
    panel: Panel, window: tuple[float, float], palette: dict[str, Colour], tile: Size = TILE
) -> Image.Image:
    """Draw a cut at its true aspect ratio, centred on a tile, with coloured contours and letters at its edges.

    Args:
        panel: The cut.
        window: Values shown black and white.
        palette: Colour of each segment, by label.
        tile: Width and height in pixels.
    """
    size = size_in(panel, tile)
    low, high = window
    grey = np.clip((panel.pixels - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    scaled = Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)
    canvas = np.repeat(np.asarray(scaled, np.float32)[..., None], 3, axis=2)
    for label, mask in panel.masks.items():
        enlarged = _enlarged(mask, size)
        colour = np.array(palette[label], np.float32)
        canvas[enlarged] = (1 - _FILL) * canvas[enlarged] + _FILL * colour
        canvas[_contour(enlarged)] = colour
    drawn = Image.new("RGB", tile, (0, 0, 0))
    drawn.paste(
        Image.fromarray(canvas.astype(np.uint8)),
        ((tile[0] - size[0]) // 2, (tile[1] - size[1]) // 2),
    )
    annotate(drawn, panel)
    return drawn


def size_in(panel: Panel, tile: Size) -> Size:
    """Return width and height in pixels such that a millimetre is as long across as down."""
    rows, columns = panel.pixels.shape
    height_mm, width_mm = rows * panel.spacing_mm[0], columns * panel.spacing_mm[1]
    scale = min(tile[0] / width_mm, tile[1] / height_mm)
    return max(1, round(width_mm * scale)), max(1, round(height_mm * scale))


def _enlarged(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    smooth = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(smooth) >= 128


def _contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of a mask that are near one outside it."""
    inner = mask
    for _ in range(_CONTOUR_WIDTH):
        padded = np.pad(inner, 1, mode="edge")
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def annotate(drawn: Image.Image, panel: Panel) -> None:
    """Write on a tile where its cut lies, and which sides of the patient its edges are."""
    draw = ImageDraw.Draw(drawn)
    width, height = drawn.size
    font = ImageFont.load_default(max(15, height // 40))
    left, upper = panel.edges
    for place, words in (
        ((8, height - 2 * height // 30), panel.caption),
        ((8, height // 2), left),
        ((width // 2, 6), upper),
    ):
        draw.text(place, words, TEXT, font, stroke_width=1, stroke_fill=(0, 0, 0))
