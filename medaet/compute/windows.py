"""Sliding windows: where they lie, how they are blended, and which of them see anything."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

SIGMA = 0.125
"""Standard deviation of the blending Gaussian, as a share of the window."""
SMALLEST_WEIGHT = 1e-3

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Windows:
    """A regular arrangement of windows over an array; the same as MONAI's, so that results are the same.

    Attributes:
        shape: Voxels of the array along each axis, none smaller than the window's.
        size: Voxels of a window.
        starts: Where windows begin along each axis; every combination is a window.
    """

    shape: Shape
    size: Shape
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @classmethod
    def over(cls, shape: Sequence[int], size: Sequence[int], overlap: float) -> "Windows":
        """Arrange windows so that neighbours overlap by a fraction of their size, the last ones by more."""
        starts = [_starts(n, k, overlap) for n, k in zip(shape, size, strict=True)]
        return cls(_shape(shape), _shape(size), (starts[0], starts[1], starts[2]))

    def __len__(self) -> int:
        return math.prod(len(each) for each in self.starts)

    @property
    def stream_axis(self) -> int:
        """The axis along which the least has to be held at a time; never the last, whose planes lie scattered."""
        return min(range(2), key=lambda axis: (self.size[axis] / self.shape[axis], axis))

    def rows(self, axis: int) -> Iterator[tuple[int, list[Shape]]]:
        """Group the corners of windows by where they begin along an axis, in ascending order."""
        others = [self.starts[one] for one in range(3) if one != axis]
        for start in self.starts[axis]:
            corners = []
            for pair in itertools.product(*others):
                corner = list(pair)
                corner.insert(axis, start)
                corners.append(_shape(corner))
            yield start, corners


def padding(shape: Sequence[int], size: Sequence[int]) -> list[tuple[int, int]]:
    """Say how many voxels an array lacks before and behind along each axis to hold one window."""
    lacking = [max(k - n, 0) for n, k in zip(shape, size, strict=True)]
    return [(one // 2, one - one // 2) for one in lacking]


def gaussian(size: Sequence[int], device: torch.device) -> torch.Tensor:
    """Weight of each voxel of a window, highest in its middle and never quite zero; float32 of shape `size`.

    Source:
        F. Isensee et al., Nature Methods 18 (2021) 203, patch-wise inference; the constants are MONAI's.
    """
    weights = torch.ones(1, device=device)
    for length in size:
        places = torch.arange(-(length - 1) / 2, (length - 1) / 2 + 1, device=device)
        along = torch.exp(places**2 / (-2 * (SIGMA * length) ** 2))
        weights = weights.unsqueeze(-1) * along
    weights = weights[0]
    return weights.clamp_(min=max(float(weights.min()), SMALLEST_WEIGHT))


class Occupied:
    """Tells whether a window holds any voxel of a mask, from sums over boxes at the origin.

    Args:
        mask: (slice, row, column), boolean.
    """

    def __init__(self, mask: torch.Tensor) -> None:
        sums = mask.to(torch.int32)
        for axis in range(3):
            sums = sums.cumsum(axis, dtype=torch.int32)
        # one plane of zeros before the first along each axis saves all special cases
        self._sums = torch.nn.functional.pad(sums, (1, 0, 1, 0, 1, 0)).cpu().numpy()

    def __call__(self, corner: Shape, size: Shape) -> bool:
        """Whether the window of this size at this corner holds anything."""
        total = 0
        for ends in itertools.product((0, 1), repeat=3):
            at = tuple(c + k * e for c, k, e in zip(corner, size, ends, strict=True))
            total += int(self._sums[at]) * (-1) ** (3 - sum(ends))
        return total > 0


def _starts(length: int, size: int, overlap: float) -> tuple[int, ...]:
    if size >= length:
        return (0,)
    step = max(1, int(size * (1 - overlap)))
    count = math.ceil((length - size) / step) + 1
    return tuple(min(number * step, length - size) for number in range(count))


def _shape(values: Sequence[int]) -> Shape:
    first, second, third = values
    return int(first), int(second), int(third)
