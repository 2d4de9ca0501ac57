"""Many regions in one array: with a hundred structures, a mask each would not fit into memory."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medaet.errors import FindingsError

DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16))


class LabelMap:
    """A number for each voxel.

    Args:
        array: uint8 or uint16, (slice, row, column).
    """

    def __init__(self, array: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
        if array.dtype not in DTYPES:
            raise FindingsError(f"a label map is uint8 or uint16, got {array.dtype}")
        if array.ndim != 3:
            raise FindingsError(f"a label map has 3 axes, got {array.ndim}")
        self.array = array

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Voxels of each value."""
        most = np.iinfo(self.array.dtype).max + 1
        counts = np.zeros(most, np.int64)
        for plane in self.array:  # by planes, since counting makes 64-bit copies
            counts += np.bincount(plane.ravel(), minlength=most)
        return counts

    def region(self, *values: int) -> "Region":
        """Name the voxels that have one of these values."""
        return Region(self, values)


class Region:
    """The voxels of a label map that have one of some values.

    Args:
        labels: The map.
        values: At least one.
    """

    def __init__(self, labels: LabelMap, values: Sequence[int]) -> None:
        self.labels = labels
        self.values = tuple(sorted({int(value) for value in values}))
        most = np.iinfo(labels.array.dtype).max
        if not self.values or self.values[0] < 0 or self.values[-1] > most:
            raise FindingsError(f"values of a label map are 0 to {most}, got {self.values}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the label map: (slices, rows, columns)."""
        return self.labels.array.shape

    @property
    def count(self) -> int:
        """Number of voxels."""
        return int(self.labels.counts[list(self.values)].sum())

    def mask(self) -> NDArray[np.bool_]:
        """Make a boolean array of it."""
        if len(self.values) == 1:
            return np.asarray(self.labels.array == self.values[0])
        chosen = np.zeros(np.iinfo(self.labels.array.dtype).max + 1, np.bool_)
        chosen[list(self.values)] = True
        return np.asarray(chosen[self.labels.array])
