"""Axes in one order for every scan: slices towards the head, rows towards the back, columns towards the left."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

ORIENTATION = "SPL"
"""Where slices, rows and columns lead, in the letters of the model folders."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How an array's axes become the usual ones.

    Attributes:
        order: For each new axis the old one, (slice, row, column).
        flipped: New axes along which the array is reversed.
    """

    order: tuple[int, int, int]
    flipped: tuple[int, ...]

    @classmethod
    def of(cls, affine: NDArray[np.float64]) -> "Turn":
        """Find the turn for a grid whose affine maps (column, row, slice, 1) to LPS+ mm."""
        directions = affine[:3, [2, 1, 0]] / np.linalg.norm(affine[:3, [2, 1, 0]], axis=0)
        wanted = directions[
            [2, 1, 0]
        ]  # rows: how far each old axis runs to the head, the back, the left
        order = max(
            permutations(range(3)), key=lambda one: sum(abs(wanted[i, one[i]]) for i in range(3))
        )
        flipped = tuple(i for i in range(3) if wanted[i, order[i]] < 0)
        return cls((order[0], order[1], order[2]), flipped)

    def array(self, voxels: NDArray[np.generic]) -> NDArray[np.generic]:
        """Turn an array (slice, row, column)."""
        return np.flip(voxels.transpose(self.order), self.flipped)

    def back(self, voxels: NDArray[np.generic]) -> NDArray[np.generic]:
        """Undo the turn."""
        return np.flip(voxels, self.flipped).transpose(
            tuple(int(i) for i in np.argsort(self.order))
        )

    def affine(self, affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Turn the affine of an array of this (old) shape; (4, 4), (column, row, slice, 1) to LPS+ mm."""
        columns = [
            affine[:3, 2 - axis] for axis in self.order
        ]  # steps along the new slice, row, column
        origin = affine[:3, 3].copy()
        for axis in self.flipped:
            origin = origin + columns[axis] * (shape[self.order[axis]] - 1)
            columns[axis] = -columns[axis]
        turned = np.eye(4)
        turned[:3, 0], turned[:3, 1], turned[:3, 2], turned[:3, 3] = (
            columns[2],
            columns[1],
            columns[0],
            origin,
        )
        return turned
