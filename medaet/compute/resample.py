"""Arrays on other grids: one linear operator an axis, applied on the device that holds the array.

Interpolation on regular grids is separable, so resampling a volume is three products with small matrices (most of
them with two entries a row, which are gathers). The same three operators serve every channel and every volume of one
shape.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from scipy import ndimage

from medaet.plugin.recipe import Alignment, Interpolation

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Axis:
    """Samples along one axis of an array, placed on the axis of another.

    Attributes:
        count: Number of samples.
        start: Where the first sample lies, in voxels of the other axis, whose first centre is 0.
        step: From one sample to the next, in voxels of the other axis.
        size: Voxels of the other axis.
    """

    count: int
    start: float
    step: float
    size: int

    @classmethod
    def edges(cls, size: int, count: int) -> "Axis":
        """Place `count` samples so that the outer edges of first and last voxel coincide."""
        step = size / count
        return cls(count, step / 2 - 0.5, step, size)

    @classmethod
    def centres(cls, size: int, spacing_mm: float, wanted_mm: float) -> "Axis":
        """Place samples of exactly the wanted spacing from the first voxel's centre, as MONAI's Spacing does."""
        count = max(1, round((size - 1) * spacing_mm / wanted_mm + 1))
        return cls(count, 0.0, wanted_mm / spacing_mm, size)

    @property
    def inverse(self) -> "Axis":
        """The voxels of the other axis, placed on the samples of this one."""
        return Axis(self.size, -self.start / self.step, 1 / self.step, self.count)

    @property
    def reversed(self) -> "Axis":
        """The same samples in ascending order, once both axes run the other way."""
        last = self.start + (self.count - 1) * self.step
        return Axis(self.count, self.size - 1 - last, self.step, self.size)

    @property
    def identical(self) -> bool:
        """Whether the samples are the voxels of the other axis themselves."""
        return self.count == self.size and self.start == 0 and self.step == 1

    def positions(self) -> torch.Tensor:
        """Where the samples lie, in voxels of the other axis, none beyond the centres of its first and last."""
        places = torch.arange(self.count, dtype=torch.float64) * self.step + self.start
        return places.clamp_(0, self.size - 1)

    def neighbours(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The lower of the two neighbours of each sample, and the share of the upper one; (count,) each."""
        places = self.positions()
        lower = places.floor().clamp_(max=max(self.size - 2, 0))
        return lower.long(), (places - lower).float()


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid over the extent of another; axes (slice, row, column) or whatever the arrays have.

    Attributes:
        axes: One for each array axis.
    """

    axes: tuple[Axis, Axis, Axis]

    @classmethod
    def of_shape(cls, shape: Sequence[int], wanted: Sequence[int]) -> "Grid":
        """Cover the same extent with another number of voxels; edges coincide."""
        return cls(_three(Axis.edges(*each) for each in zip(shape, wanted, strict=True)))

    @classmethod
    def of_spacing(
        cls,
        shape: Sequence[int],
        spacing_mm: Sequence[float],
        wanted_mm: Sequence[float],
        *,
        alignment: Alignment = "edges",
    ) -> "Grid":
        """Cover a grid with voxels of another spacing.

        Args:
            shape: Voxels along each axis.
            spacing_mm: Spacing of the grid there is.
            wanted_mm: Spacing of the grid there should be.
            alignment: "edges" covers the same extent and meets the spacing to within half a voxel over all of it
                (nnU-Net); "centres" meets it exactly, counted from the first voxel's centre (MONAI).
        """
        each = list(zip(shape, spacing_mm, wanted_mm, strict=True))
        if alignment == "edges":
            counts = [max(1, round(size * spacing / wanted)) for size, spacing, wanted in each]
            return cls.of_shape(shape, counts)
        return cls(_three(Axis.centres(*one) for one in each))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        return _three(axis.count for axis in self.axes)

    @property
    def inverse(self) -> "Grid":
        """The other grid, placed on this one."""
        return Grid(_three(axis.inverse for axis in self.axes))

    @property
    def identical(self) -> bool:
        """Whether this is the other grid itself."""
        return all(axis.identical for axis in self.axes)


def resample(
    image: torch.Tensor, grid: Grid, *, mode: Interpolation = "linear", antialias: bool = False
) -> torch.Tensor:
    """Sample an image at the points of a grid.

    Args:
        image: (channel, slice, row, column) of any number type.
        grid: Placed on the axes of `image`; beyond the outermost centres the nearest value counts.
        mode: "linear" between the two neighbours along each axis, the "nearest" one, the mean over the "area" a
            sample covers, or a "cubic" B-spline through the voxels.
        antialias: Where the grid is coarser, widen the linear interpolation's triangle to the distance of samples,
            so that nothing finer than the grid is folded into it.

    Returns:
        (channel, *grid.shape): float32, or with "nearest" the type of `image`.
    """
    todo = [at for at, axis in enumerate(grid.axes) if not axis.identical]
    # The axis that shrinks most goes first: whatever follows has less to do.
    for at in sorted(todo, key=lambda at: grid.axes[at].count / grid.axes[at].size):
        image = _along(image, at + 1, grid.axes[at], mode, antialias=antialias)
    return image if mode == "nearest" else image.float()


def _along(
    image: torch.Tensor, dim: int, axis: Axis, mode: Interpolation, *, antialias: bool
) -> torch.Tensor:
    if mode == "nearest":
        places = axis.positions().add_(0.5).floor_().clamp_(max=axis.size - 1).long()
        return image.index_select(dim, places.to(image.device))
    last = dim == image.ndim - 1  # a product beats gathering single values
    if mode == "linear" and not last and not (antialias and axis.step > 1):
        lower, share = (one.to(image.device) for one in axis.neighbours())
        upper = (lower + 1).clamp_(max=axis.size - 1)
        shares = share.reshape(-1, *[1] * (image.ndim - dim - 1))
        first = image.index_select(dim, lower).float()
        return first.lerp_(image.index_select(dim, upper).float(), shares)
    kind = "triangle" if mode == "linear" and antialias and axis.step > 1 else mode
    operator = _operator(axis, kind).to(image.device)
    return (image.movedim(dim, -1).float() @ operator.T).movedim(-1, dim).contiguous()


@lru_cache(maxsize=64)
def _operator(axis: Axis, kind: str) -> torch.Tensor:
    """Weight of each voxel in each sample: (count, size), rows add up to 1."""
    if kind == "cubic":
        # Interpolating the unit vectors gives the operator itself, boundaries included, exactly as scipy has it.
        unit = np.eye(axis.size)
        weights = ndimage.affine_transform(
            unit,
            (axis.step, 1.0),
            (axis.start, 0.0),
            (axis.count, axis.size),
            order=3,
            mode="nearest",
        )
        return torch.from_numpy(np.asarray(weights, dtype=np.float32))
    voxels = torch.arange(axis.size, dtype=torch.float64)
    if kind == "linear":
        weights = 1 - (axis.positions()[:, None] - voxels).abs()
    else:
        centres = (torch.arange(axis.count, dtype=torch.float64) * axis.step + axis.start)[:, None]
        high = torch.minimum(centres + axis.step / 2, voxels + 0.5)
        covered = high - torch.maximum(centres - axis.step / 2, voxels - 0.5)
        weights = covered if kind == "area" else 1 - (centres - voxels).abs() / axis.step
    weights = weights.clamp_(min=0)
    beyond = weights.sum(dim=1) <= 0  # a sample outside the array takes the nearest voxel
    weights[beyond, axis.positions().round().long()[beyond]] = 1
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def _three(values: Iterable[_T]) -> tuple[_T, _T, _T]:
    first, second, third = values
    return first, second, third
