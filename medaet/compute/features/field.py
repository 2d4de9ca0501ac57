"""Discretised regions side by side: every voxel of every region in one list, its neighbours an addition away.

Each region's bounding box, with one empty voxel around it, is laid out flat behind the one before, so that the
neighbour of a voxel in a direction lies at a fixed distance that only depends on its region. All texture matrices of
all regions are then filled by the same few operations, in chunks of bounded size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

CHUNK_VOXELS = 1 << 18

DIRECTIONS = torch.tensor(
    [
        *((0, 0, 1), (0, 1, -1), (0, 1, 0), (0, 1, 1)),
        *((1, dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)),
    ]
)
"""Thirteen directions (slice, row, column), one of each pair of opposite ones; those within a slice first."""

IN_PLANE = 4
"""How many of the directions lie within a slice."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Voxels of one or more regions, region by region and slice by slice.

    Attributes:
        flat: int32; bin number of every voxel of every padded box, 0 outside of a region.
        at: Place of each voxel of a region in `flat`.
        level: Its bin number, from 1.
        region: Number of its region.
        plane: Number of its slice, counted on from region to region.
        offsets: (direction, region); distance in `flat` to the neighbour in a direction.
        bins: How many bins each region has.
        voxels: How many voxels each region has.
        slices: (region, 2); first slice and last-plus-one of each region.
    """

    flat: torch.Tensor
    at: torch.Tensor
    level: torch.Tensor
    region: torch.Tensor
    plane: torch.Tensor
    offsets: torch.Tensor
    bins: torch.Tensor
    voxels: torch.Tensor
    slices: torch.Tensor

    @property
    def regions(self) -> int:
        """Number of regions."""
        return len(self.bins)

    @property
    def most_bins(self) -> int:
        """The greatest number of bins of a region."""
        return int(self.bins.max())

    @property
    def slice_count(self) -> int:
        """Number of slices of all regions together."""
        return int(self.slices[-1, 1])

    def chunks(self) -> Iterator[slice]:
        """Part the voxels into ranges small enough to look at all their neighbours at once."""
        starts = range(0, len(self.at), CHUNK_VOXELS)
        for start, stop in pairwise([*starts, len(self.at)]):
            yield slice(start, stop)

    def neighbours(
        self, some: slice | torch.Tensor, directions: int, steps: int = 1
    ) -> torch.Tensor:
        """Return (direction, voxel) bin numbers so many steps away, 0 outside of the region; negative steps go back."""
        return self.flat[self.at[some] + steps * self.offsets[:directions, self.region[some]]]


def field(
    masks: Sequence[torch.Tensor], levels: Sequence[torch.Tensor], bins: Sequence[int]
) -> Field:
    """Lay regions out side by side.

    Args:
        masks: Boolean bounding box (slice, row, column) of each region, on one device.
        levels: Bin number of each voxel of each mask, from 1, by slice, row and column.
        bins: Number of bins of each region.
    """
    device = masks[0].device
    flats, places, slices, offsets, ends = [], [], [], [], []
    base, first = 0, 0
    for mask, level in zip(masks, levels, strict=True):
        box = [length + 2 for length in mask.shape]
        strides = torch.tensor([box[1] * box[2], box[2], 1])
        at = mask.nonzero()
        place = ((at + 1) * strides.to(device)).sum(1)
        flat = torch.zeros(box[0] * box[1] * box[2], dtype=torch.int32, device=device)
        flat[place] = level.int()
        flats.append(flat)
        places.append(place + base)
        slices.append(at[:, 0] + first)
        offsets.append((DIRECTIONS * strides).sum(1))
        ends.append((first, first + mask.shape[0]))
        base, first = base + len(flat), first + mask.shape[0]
    counts = torch.tensor([len(place) for place in places], device=device)
    return Field(
        flat=torch.cat(flats),
        at=torch.cat(places),
        level=torch.cat(list(levels)).long(),
        region=torch.repeat_interleave(torch.arange(len(masks), device=device), counts),
        plane=torch.cat(slices),
        offsets=torch.stack(offsets, dim=1).to(device),
        bins=torch.tensor(list(bins), device=device),
        voxels=counts,
        slices=torch.tensor(ends, device=device),
    )
