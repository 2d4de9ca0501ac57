"""What networks say of a scan as a whole, and the boxes that they find in it."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from medaet.compute.orient import Orientation
from medaet.compute.outputs import Outputs, boxes, numbers
from medaet.compute.segment import Prepared
from medaet.compute.windows import Shape, Windows, padding
from medaet.errors import FindingsError
from medaet.plugin.detection import Box, Candidate
from medaet.plugin.recipe import BoxRecipe, Recipe


def predicted(
    prepared: Prepared, network: Outputs, recipe: Recipe, batch: int, checkpoint: Callable[[], None]
) -> NDArray[np.float32]:
    """Show a network the middle of a scan, or the middle of each of its planes.

    Args:
        prepared: The scan; it is cut, or filled up with the lowest value of each channel, to the recipe's window.
        network: Maps (batch, channel, *window) to (batch, output).
        recipe: A window with a first length of 1 is one of planes.
        batch: Most planes in one call.
        checkpoint: Called before each call.

    Returns:
        (part, output): one row, or one for each plane.

    Raises:
        PluginError: the network returns something else.
        FindingsError: a number is not finite.
    """
    planes = recipe.window[0] == 1
    wanted = (prepared.image.shape[1], *recipe.window[1:]) if planes else recipe.window
    image = fitted(prepared.image, wanted)
    parts = image.movedim(1, 0) if planes else image[None]
    rows = []
    for first in range(0, len(parts), batch):
        checkpoint()
        rows.append(numbers(network(parts[first : first + batch].contiguous())))
    found = torch.cat(rows).numpy()
    if not np.isfinite(found).all():
        raise FindingsError("the network returned values that are not finite")
    return np.asarray(found, dtype=np.float32)


def fitted(image: torch.Tensor, wanted: Sequence[int]) -> torch.Tensor:
    """Cut the middle out of (channel, *grid), or fill it up around with the lowest value of each channel."""
    lowest = image.flatten(1).amin(dim=1).view(-1, 1, 1, 1)
    pads: list[int] = []
    for have, want in zip(reversed(image.shape[1:]), reversed(wanted), strict=True):
        lacking = (want or have) - have
        pads += [lacking // 2, lacking - lacking // 2]  # negative ones cut
    return functional.pad(image - lowest, pads) + lowest


def detected(
    prepared: Prepared,
    network: Outputs,
    recipe: Recipe,
    wanted: BoxRecipe,
    shape: Sequence[int],
    checkpoint: Callable[[], None],
) -> list[Candidate]:
    """Run a detecting network over a scan in sliding windows, and put its boxes on the scan's own grid.

    Args:
        prepared: The scan.
        network: Maps (1, channel, *window) to boxes, scores and labels; see `medaet.compute.outputs.boxes`.
        recipe: A length of 0 of the window is that of the scan.
        wanted: What boxes mean, and which of them count.
        shape: (slices, rows, columns) of the scan.
        checkpoint: Called before each call of the network.

    Returns:
        The boxes that count, the highest score first.

    Raises:
        PluginError: the network returns something else.
        FindingsError: a box or a score is not finite.
    """
    found = list(_windows(prepared.image, network, recipe, wanted, checkpoint))
    places = torch.cat([one for one, _, _ in found])
    scores = torch.cat([one for _, one, _ in found])
    labels = torch.cat([one for _, _, one in found])
    if not (bool(places.isfinite().all()) and bool(scores.isfinite().all())):
        raise FindingsError("the network returned boxes that are not finite")
    limits = torch.tensor(prepared.image.shape[1:], dtype=torch.float64) - 0.5
    places = torch.cat([places[:, :3].clamp(min=-0.5), torch.minimum(places[:, 3:], limits)], dim=1)
    counts = (scores >= wanted.threshold) & (places[:, 3:] > places[:, :3]).all(dim=1)
    places, scores, labels = places[counts], scores[counts], labels[counts]
    kept = suppressed(places, scores, labels, wanted.merge)[: wanted.most]
    lows, highs = _on_scan(places[kept].numpy(), prepared, shape)
    return [
        Candidate(Box(_triple(low), _triple(high)), float(score), int(label))
        for low, high, score, label in zip(lows, highs, scores[kept], labels[kept], strict=True)
    ]


def suppressed(
    places: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor, limit: float
) -> torch.Tensor:
    """Return the numbers of the boxes that stay, the highest score first (non-maximum suppression, class by class).

    Args:
        places: (n, 6), lowest and highest places.
        scores: (n,).
        labels: (n,).
        limit: Largest intersection over union of two that stay.
    """
    left = torch.argsort(scores, descending=True, stable=True)
    sizes = (places[:, 3:] - places[:, :3]).prod(dim=1)
    kept: list[int] = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        lows = torch.maximum(places[best, :3], places[left, :3])
        highs = torch.minimum(places[best, 3:], places[left, 3:])
        shared = (highs - lows).clamp(min=0).prod(dim=1)
        overlap = shared / (sizes[best] + sizes[left] - shared)
        left = left[(overlap <= limit) | (labels[left] != labels[best])]
    return torch.tensor(kept, dtype=torch.long)


def corners(places: torch.Tensor, wanted: BoxRecipe) -> torch.Tensor:
    """Turn boxes (n, 6) of some mode into lowest and highest places from the centre of the first voxel."""
    if wanted.mode == "xxyyzz":
        low, high = places[:, 0::2], places[:, 1::2]
    else:
        low, high = places[:, :3], places[:, 3:]
    if wanted.mode == "xyzwhd":
        high = low + high
    elif wanted.mode == "cccwhd":
        low, high = low - high / 2, low + high / 2
    shift = 0.5 if wanted.origin == "edge" else 0.0
    return torch.cat([low, high], dim=1) - shift


def _windows(
    image: torch.Tensor,
    network: Outputs,
    recipe: Recipe,
    wanted: BoxRecipe,
    checkpoint: Callable[[], None],
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield boxes on the whole image, scores and labels of each window."""
    size = [one or length for one, length in zip(recipe.window, image.shape[1:], strict=True)]
    pads = padding(image.shape[1:], size)
    padded = fitted(image, [max(pair) for pair in zip(image.shape[1:], size, strict=True)])
    windows = Windows.over(padded.shape[1:], size, recipe.overlap)
    for _, row in windows.rows(0):
        for corner in row:
            checkpoint()
            places, scores, labels = boxes(network(_cut(padded, corner, windows.size)[None]))
            shift = [start - before for start, (before, _) in zip(corner, pads, strict=True)]
            yield (
                corners(places, wanted) + torch.tensor(shift * 2, dtype=torch.float64),
                scores,
                labels,
            )


def _cut(image: torch.Tensor, corner: Shape, size: Shape) -> torch.Tensor:
    within = (slice(start, start + length) for start, length in zip(corner, size, strict=True))
    return image[(slice(None), *within)].contiguous()


def _on_scan(
    places: NDArray[np.float64], prepared: Prepared, shape: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lowest and highest (slice, row, column) of boxes that lie on the network's grid: (n, 3) each."""
    ends = [
        _turned_back(_on_turned(one, prepared), prepared.orientation, shape)
        for one in (places[:, :3], places[:, 3:])
    ]
    return np.minimum(*ends), np.maximum(*ends)


def _on_turned(places: NDArray[np.float64], prepared: Prepared) -> NDArray[np.float64]:
    """Map places of the network's grid to voxels of the turned scan."""
    first = [0, 0, 0] if prepared.box is None else [one.start for one in prepared.box]
    starts = np.array([axis.start for axis in prepared.grid.axes])
    steps = np.array([axis.step for axis in prepared.grid.axes])
    return np.asarray(starts + (places + first) * steps)


def _turned_back(
    places: NDArray[np.float64], orientation: Orientation, shape: Sequence[int]
) -> NDArray[np.float64]:
    back = places.copy()
    for axis in orientation.flipped:
        back[:, axis] = shape[orientation.order[axis]] - 1 - back[:, axis]
    return np.asarray(back[:, np.argsort(orientation.order)])


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    first, second, third = (float(one) for one in values)
    return first, second, third
