"""Connected parts of a mask, found by the runs of its rows: some ten thousand runs instead of ten million voxels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]


class Parts:
    """The parts of a mask (slice, row, column) whose voxels touch by faces; the same as those of `ndimage.label`.

    Attributes:
        sizes: Voxels of each part.
    """

    def __init__(self, mask: Mask) -> None:
        self._shape = mask.shape
        # one empty column behind each row parts the runs of one row from those of the next
        self._width = mask.shape[2] + 1
        self._mask = np.zeros((*mask.shape[:2], self._width), np.bool_)
        self._mask[..., :-1] = mask
        edges = np.flatnonzero(np.diff(self._mask.ravel(), prepend=False))
        self._starts, self._stops = edges[::2], edges[1::2]
        _, self._numbers = connected_components(self._touching(), directed=False)
        lengths = self._stops - self._starts
        self.sizes: Integers = np.bincount(self._numbers, lengths).astype(np.int64)

    def largest(self, most: int) -> list[int]:
        """Name the largest parts, the largest first."""
        return [int(one) for one in np.argsort(-self.sizes, kind="stable")[:most]]

    def at(self, slice_: int, row: int, column: int) -> int:
        """Name the part that a voxel of the mask belongs to."""
        place = (slice_ * self._shape[1] + row) * self._width + column
        return int(self._numbers[np.searchsorted(self._starts, place, "right") - 1])

    def mask(self, *numbers: int) -> Mask:
        """Return the voxels of some parts."""
        wanted = np.isin(self._numbers, numbers)
        inside = self.sizes[np.unique(numbers).astype(int)].sum()
        few = bool(2 * inside <= self.sizes.sum())  # whichever is less to write
        found = np.zeros_like(self._mask) if few else self._mask.copy()
        found.ravel()[self._places(wanted if few else ~wanted)] = few
        return np.ascontiguousarray(found[..., :-1])

    def _places(self, wanted: Mask) -> Integers:
        """List where the voxels of some runs lie."""
        starts, lengths = self._starts[wanted], (self._stops - self._starts)[wanted]
        return _counted(lengths) + np.repeat(starts, lengths)

    def _touching(self) -> Any:
        """Return the graph of runs that lie side by side in neighbouring rows of a slice, or of neighbouring slices."""
        rows = self._starts // self._width % self._shape[1]
        below = np.flatnonzero(rows < self._shape[1] - 1)
        pairs = [
            self._over(below, self._width),
            self._over(np.arange(len(self._starts)), self._width * self._shape[1]),
        ]
        first, second = (np.concatenate(each) for each in zip(*pairs, strict=True))
        count = len(self._starts)
        return sparse.coo_array((np.ones(len(first), np.bool_), (first, second)), (count, count))

    def _over(self, runs: Integers, step: int) -> tuple[Integers, Integers]:
        """Pair runs with those that lie over them, so many places ahead."""
        low = np.searchsorted(self._stops, self._starts[runs] + step, "right")
        high = np.searchsorted(self._starts, self._stops[runs] + step, "left")
        counts = np.maximum(high - low, 0)
        return np.repeat(runs, counts), np.repeat(low, counts) + _counted(counts)


def _counted(counts: Integers) -> Integers:
    """Count from 0 up to each of some counts, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
