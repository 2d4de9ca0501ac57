"""Masks: where a segment is, as a boolean array of its own or as numbers of a label map that many segments share.

A whole-body model names a hundred structures; as boolean arrays they would need a hundred times the memory of their
label map. Everything behind the plugin contract therefore asks a mask for one slice at a time.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medaet.errors import FindingsError


class Mask(Protocol):
    """Where a segment is, on the grid (slice, row, column)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        ...

    @property
    def counts(self) -> NDArray[np.int64]:
        """Voxels in each slice."""
        ...

    def plane(self, number: int) -> NDArray[np.bool_]:
        """Return one slice, (row, column)."""
        ...

    def whole(self) -> NDArray[np.bool_]:
        """Return all slices."""
        ...

    def across(self, axis: int, index: int) -> NDArray[np.bool_]:
        """Return a cut through all slices, along one row (axis 1) or one column (axis 2)."""
        ...

    def total(self, values: NDArray[Any]) -> float:
        """Sum up, with 64 bits, the values (slice, row, column) at its voxels."""
        ...


class BooleanMask:
    """A mask of its own.

    Args:
        array: (slice, row, column), boolean.
    """

    def __init__(self, array: NDArray[np.bool_]) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        slices, rows, columns = self._array.shape
        return slices, rows, columns

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Voxels in each slice."""
        return np.asarray(np.count_nonzero(self._array, axis=(1, 2)), dtype=np.int64)

    def plane(self, number: int) -> NDArray[np.bool_]:
        """Return one slice, (row, column)."""
        found: NDArray[np.bool_] = self._array[number]
        return found

    def whole(self) -> NDArray[np.bool_]:
        """Return all slices."""
        return self._array

    def across(self, axis: int, index: int) -> NDArray[np.bool_]:
        """Return a cut through all slices, along one row (axis 1) or one column (axis 2)."""
        return np.asarray(self._array.take(index, axis))

    def total(self, values: NDArray[Any]) -> float:
        """Sum up, with 64 bits, the values at its voxels."""
        return float(values[self._array].sum(dtype=np.float64))


class LabelMap:
    """Whole numbers on a grid, 0 for none; each number is a mask.

    Args:
        labels: (slice, row, column), whole numbers from 0 to 65535.

    Raises:
        FindingsError: it is something else.
    """

    def __init__(self, labels: ArrayLike) -> None:
        array = np.asarray(labels)
        if array.ndim != 3 or array.dtype.kind not in "ui":
            raise FindingsError(
                f"a label map is whole numbers on 3 axes, got {array.dtype} on {array.ndim}"
            )
        if array.dtype not in (np.uint8, np.uint16):
            if array.size and not 0 <= int(array.min()) <= int(array.max()) <= 65535:
                raise FindingsError("a label map holds numbers from 0 to 65535")
            array = array.astype(np.min_scalar_type(int(array.max(initial=0))))
        self.labels: NDArray[np.uint8] | NDArray[np.uint16] = array

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        slices, rows, columns = self.labels.shape
        return slices, rows, columns

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Voxels of each number in each slice: (slice, number)."""
        most = int(self.labels.max(initial=0)) + 1
        rows = [np.bincount(plane.ravel(), minlength=most) for plane in self.labels]
        return np.array(rows, dtype=np.int64).reshape(len(rows), most)

    def mask(self, *numbers: int) -> "Label":
        """Return the mask of one number, or of several together."""
        return Label(self, numbers)


class Label:
    """The voxels of a label map that have one of some numbers.

    Attributes:
        map: The label map.
        numbers: Its numbers there, from 1.
    """

    def __init__(self, label_map: LabelMap, numbers: Sequence[int]) -> None:
        self.map = label_map
        self.numbers = tuple(sorted({int(one) for one in numbers}))
        if not self.numbers or not 0 < self.numbers[0] <= self.numbers[-1] <= 65535:
            raise FindingsError(f"labels are numbered from 1 to 65535, got {numbers}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        return self.map.shape

    @property
    def counts(self) -> NDArray[np.int64]:
        """Voxels in each slice."""
        counts = self.map.counts
        known = [one for one in self.numbers if one < counts.shape[1]]
        found: NDArray[np.int64] = counts[:, known].sum(axis=1)
        return found

    def plane(self, number: int) -> NDArray[np.bool_]:
        """Return one slice, (row, column)."""
        return self._among(np.asarray(self.map.labels[number]))

    def whole(self) -> NDArray[np.bool_]:
        """Return all slices."""
        return self._among(self.map.labels)

    def across(self, axis: int, index: int) -> NDArray[np.bool_]:
        """Return a cut through all slices, along one row (axis 1) or one column (axis 2)."""
        return self._among(np.asarray(self.map.labels.take(index, axis)))

    def total(self, values: NDArray[Any]) -> float:
        """Sum up, with 64 bits, the values at its voxels."""
        return float(
            sum(
                values[k][self.plane(k)].sum(dtype=np.float64)
                for k in np.flatnonzero(self.counts).tolist()
            )
        )

    def _among(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        if len(self.numbers) == 1:
            return np.asarray(labels == self.numbers[0])
        chosen = np.zeros(int(np.iinfo(self.map.labels.dtype).max) + 1, np.bool_)
        chosen[[one for one in self.numbers if one < chosen.size]] = True
        return np.asarray(chosen[labels])
