"""Points between voxels of different classes: interpolated from plane to plane first, then within a plane.

Interpolation is separable. A plane of the network's grid has far fewer voxels than there are points between them, so
two of its planes are mixed once for each plane of points, and each point then needs four neighbours instead of eight.
Which four, and how much of each, is the same in every plane.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch.nn import functional

from medaet.compute.resample import Axis

POINTS = 1 << 15
"""So many points at a time: their neighbours stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Between:
    """Points along one axis, between the voxels of another grid.

    Attributes:
        low: The lower neighbour of each.
        share: Of the upper neighbour.
        size: Voxels of the other grid.
    """

    low: torch.Tensor
    share: torch.Tensor
    size: int

    @classmethod
    def on(cls, axis: Axis, device: torch.device) -> "Between":
        """Place the samples of an axis, on a device."""
        low, share = axis.neighbours()
        return cls(low.to(device), share.to(device), axis.size)


class Borders:
    """Interpolates at points of one plane after the other.

    Args:
        rows: Where rows of points lie between those of voxels.
        columns: The same of columns.
    """

    def __init__(self, rows: Between, columns: Between) -> None:
        self._rows = rows
        self._columns = columns

    def values(
        self, points: torch.Tensor, table: torch.Tensor, marked: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Interpolate within a plane.

        Args:
            points: Numbers of points (point,) in the plane of points, row by row.
            table: Values of the marked voxels, (voxel, number).
            marked: Which voxels of the plane these are: (row * column,), all neighbours of the points among them.

        Yields:
            Some of the points, and their values (point, number).
        """
        numbers = numbered(marked)
        corners, weights = self._places
        offsets = self._offsets.to(corners.device)
        for some in torch.split(points, POINTS):
            around = corners.index_select(0, some)[:, None] + offsets
            near = numbers.index_select(0, around.flatten()).reshape(around.shape)
            shares = weights.index_select(0, some)
            yield some, functional.embedding_bag(near, table, per_sample_weights=shares, mode="sum")

    @property
    def _offsets(self) -> torch.Tensor:
        """From the upper left neighbour of a point to the four."""
        down = self._columns.size if self._rows.size > 1 else 0
        along = 1 if self._columns.size > 1 else 0
        return torch.tensor([0, along, down, down + along], dtype=torch.int32)

    @cached_property
    def _places(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Upper left neighbour of each point of a plane (row * column,), and the shares of all four (..., 4)."""
        rows, columns = self._rows, self._columns
        corners = (rows.low[:, None] * columns.size + columns.low).to(torch.int32)
        down = torch.stack([1 - rows.share, rows.share], dim=1)
        along = torch.stack([1 - columns.share, columns.share], dim=1)
        shares = down[:, None, :, None] * along[None, :, None, :]
        return corners.flatten(), shares.reshape(-1, 4)


def corners(
    cells: torch.Tensor, size: Sequence[int], dims: Sequence[int] = (0, 1, 2)
) -> torch.Tensor:
    """Mark the voxels at the corners of marked cells, which are one fewer along each axis longer than one voxel.

    Args:
        cells: (plane, row, column), boolean.
        size: Of the voxels.
        dims: Along which axes.
    """
    marked = cells
    for dim in dims:
        if size[dim] > 1:
            before, behind = [0] * 6, [0] * 6
            behind[2 * (2 - dim) + 1] = 1
            before[2 * (2 - dim)] = 1
            marked = functional.pad(marked, behind) | functional.pad(marked, before)
    return marked


def numbered(marked: torch.Tensor) -> torch.Tensor:
    """Number what is marked, from 0."""
    return marked.cumsum(0, dtype=torch.int32).sub_(1)
