"""Array axes turned the way a network wants them, and several series put on one grid."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.directions import nearest_axes
from medaet.dicom.volume import Volume

SAME_GRID_MM = 0.01


@dataclass(frozen=True, slots=True)
class Turn:
    """How (slice, row, column) become other axes.

    Attributes:
        order: For each new axis, the old one.
        flipped: New axes that run the other way.
    """

    order: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[int, ...] = ()

    def apply(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return a view of an array (slice, row, column) on the new axes."""
        return np.flip(np.transpose(array, self.order), self.flipped)

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return an array on the new axes as (slice, row, column)."""
        back = np.transpose(np.flip(array, self.flipped), np.argsort(self.order))
        return np.ascontiguousarray(back)

    def affine(self, affine: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.float64]:
        """Turn the affine of an array of this (old) shape; (4, 4), (column, row, slice, 1) to LPS+ mm."""
        steps = [affine[:3, 2 - axis] for axis in self.order]  # along the new slice, row, column
        origin = affine[:3, 3].copy()
        for axis in self.flipped:
            origin = origin + steps[axis] * (shape[self.order[axis]] - 1)
            steps[axis] = -steps[axis]
        turned = np.eye(4)
        turned[:3] = np.column_stack([*reversed(steps), origin])
        return turned

    def along(self, values: Sequence[float]) -> tuple[float, float, float]:
        """Reorder one value for each of (slice, row, column)."""
        first, second, third = (values[axis] for axis in self.order)
        return first, second, third


def towards(letters: str, affine: NDArray[np.float64]) -> Turn:
    """Find the turn that comes closest to three directions in the patient.

    Args:
        letters: One of R or L, A or P, S or I for each new axis, such as "SAR"; empty to leave the axes as they are.
        affine: Maps (column, row, slice, 1) to LPS+ mm.

    Raises:
        PluginError: the letters do not name three directions.
    """
    return Turn(*nearest_axes(letters, affine)) if letters else Turn()


def on_one_grid(volumes: Sequence[Volume]) -> list[Volume]:
    """Put volumes of one frame of reference on the grid of the first, by linear interpolation; outside is zero."""
    first = volumes[0]
    return [first, *(_on_grid_of(first, one) for one in volumes[1:])]


def _on_grid_of(first: Volume, other: Volume) -> Volume:
    same = np.abs(first.affine - other.affine).max() < SAME_GRID_MM
    if same and first.voxels.shape == other.voxels.shape:
        return other
    from scipy import ndimage

    mapping = (
        np.linalg.inv(other.affine) @ first.affine
    )  # (column, row, slice) to (column, row, slice)
    matrix, offset = mapping[:3, :3][::-1, ::-1], mapping[:3, 3][::-1]
    voxels = ndimage.affine_transform(
        np.asarray(other.voxels, dtype=np.float32), matrix, offset, first.voxels.shape, order=1
    )
    return replace(other, voxels=voxels, affine=first.affine)
