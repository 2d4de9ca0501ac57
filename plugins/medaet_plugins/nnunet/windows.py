"""nnU-Net's sliding windows, row by row along the first axis, so that finished planes can go."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

SIGMA = 0.125
PEAK = 10.0
LARGEST_FLOAT32_BYTES = 1 << 30
Network = Callable[[torch.Tensor], torch.Tensor]


def starts(length: int, size: int, step: float) -> list[int]:
    """Return where windows begin along one axis: evenly, at most `step` of a window apart."""
    count = math.ceil((length - size) / (size * step)) + 1
    apart = (length - size) / (count - 1) if count > 1 else 0.0
    return [int(np.round(apart * number)) for number in range(count)]


@lru_cache(maxsize=4)
def importance(size: tuple[int, int, int]) -> torch.Tensor:
    """Weight of each voxel of a window: a Gaussian, rounded as nnU-Net rounds it."""
    impulse = np.zeros(size)
    impulse[tuple(one // 2 for one in size)] = 1
    weights = ndimage.gaussian_filter(
        impulse, [one * SIGMA for one in size], 0, mode="constant", cval=0
    )
    weights *= PEAK / weights.max()
    rounded = torch.from_numpy(weights).half()
    rounded[rounded == 0] = rounded[rounded > 0].min()
    return rounded.float()


def planes(
    image: torch.Tensor,
    network: Network,
    heads: int,
    patch: tuple[int, int, int],
    *,
    step: float = 0.5,
    progress: Callable[[float], None] = lambda _share: None,
) -> Iterator[torch.Tensor]:
    """Predict logits, and yield them as soon as no later window touches them.

    Args:
        image: (channel, *grid), on the device that computes.
        network: Maps (batch, channel, *patch) to logits (batch, head, *patch).
        heads: Output channels of the network.
        patch: Voxels of a window.
        step: From one window to the next, as a share of the window.
        progress: Called with the share that is done.

    Yields:
        (head, some planes, row, column) of `image`'s grid, in order.
    """
    padded, inner = _padded(image, patch)
    shape = padded.shape[1:]
    rows, *others = (starts(n, k, step) for n, k in zip(shape, patch, strict=True))
    corners = list(itertools.product(*others))
    sums = _Sums(heads, patch[0], shape[1:], image.device)
    weights = importance(patch).to(image.device)
    total = len(rows) * len(corners)
    for number, row in enumerate(rows):
        depth = slice(row, row + patch[0])
        for done, (y, x) in enumerate(corners, start=number * len(corners) + 1):
            place = (slice(y, y + patch[1]), slice(x, x + patch[2]))
            # one window at a time: two take twice the memory, and on a CPU no less time
            sums.add(network(padded[None, :, depth, *place])[0], weights, place)
            progress(done / total)
        stop = rows[number + 1] if number + 1 < len(rows) else shape[0]
        finished = sums.take(stop - row)
        low, high = max(row, inner[0].start), min(stop, inner[0].stop)
        if low < high:
            yield finished[:, low - row : high - row, inner[1], inner[2]]


class _Sums:
    """Weighted sums of logits over one row of windows."""

    def __init__(self, heads: int, depth: int, plane: Sequence[int], device: torch.device) -> None:
        size = heads * depth * math.prod(plane) * 4
        # nnU-Net sums in half precision throughout; only what would not fit is summed so here.
        kind = torch.float16 if size > LARGEST_FLOAT32_BYTES else torch.float32
        self._logits = torch.zeros((heads, depth, *plane), dtype=kind, device=device)
        self._weights = torch.zeros((depth, *plane), dtype=torch.float32, device=device)

    def add(self, logits: torch.Tensor, weights: torch.Tensor, place: tuple[slice, slice]) -> None:
        self._logits[:, :, place[0], place[1]] += (logits * weights).to(self._logits.dtype)
        self._weights[:, place[0], place[1]] += weights

    def take(self, count: int) -> torch.Tensor:
        """Return the first planes as means, and move the others up."""
        finished = self._logits[:, :count].to(torch.float32, copy=True).div_(self._weights[:count])
        for sums, dim in ((self._logits, 1), (self._weights, 0)):
            left = sums.shape[dim] - count
            if left > 0:
                kept = sums.narrow(dim, count, left).clone()
                sums.narrow(dim, 0, left).copy_(kept)
            sums.narrow(dim, left, count).zero_()
        return finished


def _padded(
    image: torch.Tensor, patch: Sequence[int]
) -> tuple[torch.Tensor, tuple[slice, slice, slice]]:
    """Add zeros around an image that is smaller than one window, and say where it lies then."""
    before, pads = [], []
    for length, size in zip(image.shape[1:], patch, strict=True):
        lacking = max(size - length, 0)
        before.append(lacking // 2)
        pads.append((lacking // 2, lacking - lacking // 2))
    flat = [one for pair in reversed(pads) for one in pair]
    inner = [slice(at, at + length) for at, length in zip(before, image.shape[1:], strict=True)]
    padded = functional.pad(image, flat) if any(flat) else image
    return padded, (inner[0], inner[1], inner[2])


def mirrored(network: Network, axes: Sequence[int]) -> Network:
    """Average a network's logits over all flips along some axes of the grid."""
    flips = [
        [axis + 2 for axis in chosen]
        for count in range(1, len(axes) + 1)
        for chosen in itertools.combinations(axes, count)
    ]

    def averaged(window: torch.Tensor) -> torch.Tensor:
        logits = network(window)
        for dims in flips:
            logits = logits + network(window.flip(dims)).flip(dims)
        return logits / (len(flips) + 1)

    return averaged if flips else network
