"""Masks: where a segment is, as a boolean array of its own or as numbers of a label map that many segments share.

A whole-body model names a hundred structures; as boolean arrays they would need a hundred times the memory of their
label map. Everything behind the plugin contract therefore asks a mask for one slice at a time.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medaet.errors import FindingsError
from medaet.plugin.detection import Box


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


class BoxMask:
    """The voxels whose centres lie in a box; at least the nearest one.

    Args:
        box: On the grid.
        shape: Slices, rows and columns of the grid.
    """

    def __init__(self, box: Box, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        spans = zip(box.low, box.high, shape, strict=True)
        self._spans = [_span(low, high, length) for low, high, length in spans]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        return self._shape

    @property
    def counts(self) -> NDArray[np.int64]:
        """Voxels in each slice."""
        slices, rows, columns = self._spans
        counts = np.zeros(self._shape[0], dtype=np.int64)
        counts[slices] = (rows.stop - rows.start) * (columns.stop - columns.start)
        return counts

    def plane(self, number: int) -> NDArray[np.bool_]:
        """Return one slice, (row, column)."""
        return self._cut(0, number)

    def whole(self) -> NDArray[np.bool_]:
        """Return all slices."""
        array = np.zeros(self._shape, dtype=np.bool_)
        array[tuple(self._spans)] = True
        return array

    def across(self, axis: int, index: int) -> NDArray[np.bool_]:
        """Return a cut through all slices, along one row (axis 1) or one column (axis 2)."""
        return self._cut(axis, index)

    def total(self, values: NDArray[Any]) -> float:
        """Sum up, with 64 bits, the values at its voxels."""
        return float(values[tuple(self._spans)].sum(dtype=np.float64))

    def _cut(self, axis: int, index: int) -> NDArray[np.bool_]:
        others = [one for one in range(3) if one != axis]
        cut = np.zeros([self._shape[one] for one in others], dtype=np.bool_)
        if self._spans[axis].start <= index < self._spans[axis].stop:
            cut[tuple(self._spans[one] for one in others)] = True
        return cut


def _span(low: float, high: float, length: int) -> slice:
    start, stop = math.ceil(low), math.floor(high) + 1
    if stop <= start:
        start = round((low + high) / 2)
        stop = start + 1
    start = min(max(start, 0), length - 1)
    return slice(start, max(start + 1, min(stop, length)))
