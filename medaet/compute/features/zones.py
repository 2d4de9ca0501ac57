"""Zones: connected voxels of one grey level, their sizes, and their distances from the edge of the region.

Zones are found by union of neighbours: every set hangs below its first voxel, edges between sets hang the later first
voxel below the earlier one, and paths are halved until every voxel points at its zone.

Source:
    IBSI reference manual, Grey level size zone (9SAK) and distance zone (VMDZ) based features. Shiloach and Vishkin,
    Journal of Algorithms 3, 1982.
"""

from collections.abc import Sequence

import torch

from medaet.compute.features.entries import Entries, tallied
from medaet.compute.features.field import IN_PLANE, Field

SLAB = 1 << 22


def zones(field: Field, directions: int, start: torch.Tensor | None = None) -> torch.Tensor:
    """Find the zone of each voxel.

    Args:
        field: The regions.
        directions: 4 for zones within a slice, 13 for zones in space.
        start: Zones within slices, when they are known.

    Returns:
        The first voxel of each voxel's zone, as its place in the list of voxels.
    """
    place = torch.full((len(field.flat),), -1, dtype=torch.int64, device=field.flat.device)
    place[field.at] = torch.arange(len(field.at), device=field.at.device)
    parent = _rows(field) if start is None else start
    first = 1 if start is None else IN_PLANE
    for direction in range(first, directions):
        parent = _united(parent, *_edges(field, place, parent, direction))
    return parent


def size_zones(field: Field, zone: torch.Tensor, *, by_slice: bool) -> Entries:
    """Count zones by grey level and size; a matrix for each region, or for each slice."""
    first, _, size = torch.unique(zone, return_inverse=True, return_counts=True)
    owner, owners = _owners(field, by_slice=by_slice)
    return tallied(owner[first], field.level[first], size, None, owners)


def distance_zones(
    field: Field, zone: torch.Tensor, distance: torch.Tensor, *, by_slice: bool
) -> Entries:
    """Count zones by grey level and least distance; a matrix for each region, or for each slice.

    Args:
        field: The regions.
        zone: Of each voxel.
        distance: Of each voxel from the edge of the morphological mask, from 1.
        by_slice: A matrix for each slice.
    """
    first, at = torch.unique(zone, return_inverse=True)
    least = torch.full((len(first),), torch.iinfo(torch.int64).max, device=zone.device)
    least.scatter_reduce_(0, at, distance.long(), "amin")
    owner, owners = _owners(field, by_slice=by_slice)
    return tallied(owner[first], field.level[first], least, None, owners)


def distances(masks: Sequence[torch.Tensor], *, by_slice: bool) -> list[torch.Tensor]:
    """Return the city-block distance of each voxel from the nearest one outside of its mask.

    Args:
        masks: Boolean (slice, row, column); everything beyond their edges is outside.
        by_slice: Do not look across slices.

    Returns:
        int32 arrays of the shapes of the masks; 1 for a voxel beside one outside.
    """
    return [_distance(mask, by_slice=by_slice) for mask in masks]


def _owners(field: Field, *, by_slice: bool) -> tuple[torch.Tensor, int]:
    return (field.plane, field.slice_count) if by_slice else (field.region, field.regions)


def _rows(field: Field) -> torch.Tensor:
    """Hang voxels that follow each other in a row below the first of them."""
    number = torch.arange(len(field.at), device=field.at.device)
    is_first = torch.ones(len(number), dtype=torch.bool, device=number.device)
    is_first[1:] = (field.at[1:] != field.at[:-1] + 1) | (field.level[1:] != field.level[:-1])
    return torch.where(is_first, number, 0).cummax(0).values


def _edges(
    field: Field, place: torch.Tensor, parent: torch.Tensor, direction: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """List pairs of sets that touch in a direction, not repeating a pair along a row."""
    ones, twos = [], []
    for chunk in field.chunks():
        other = field.at[chunk] + field.offsets[direction, field.region[chunk]]
        touching = (field.flat[other] == field.level[chunk]).nonzero().flatten()
        one, two = parent[touching + chunk.start], parent[place[other[touching]]]
        new = one != two
        new[1:] &= (one[1:] != one[:-1]) | (two[1:] != two[:-1])
        ones.append(one[new])
        twos.append(two[new])
    return torch.cat(ones), torch.cat(twos)


def _united(parent: torch.Tensor, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    while len(one):
        parent.scatter_reduce_(0, torch.maximum(one, two), torch.minimum(one, two), "amin")
        parent = _flattened(parent)
        one, two = parent[one], parent[two]
        apart = one != two
        one, two = one[apart], two[apart]
    return parent


def _flattened(parent: torch.Tensor) -> torch.Tensor:
    while True:
        nearer = parent[parent]
        if torch.equal(nearer, parent):
            return parent
        parent = nearer


def _distance(mask: torch.Tensor, *, by_slice: bool) -> torch.Tensor:
    """Sweep along each axis, forth and back: city-block distances are the sum of those along axes."""
    far = sum(mask.shape) + 1
    found = torch.where(mask, far, 0).int()
    for axis in (1, 2) if by_slice else (0, 1, 2):
        across = (axis + 1) % 3 if axis else 1
        step = max(1, SLAB * mask.shape[across] // max(1, mask.numel()))
        for slab in torch.split(found, step, dim=across):
            _sweep(slab, axis)
    return found


def _sweep(found: torch.Tensor, axis: int) -> None:
    """Lower distances by those of neighbours along an axis, in place; beyond both ends the distance is 0."""
    length = found.shape[axis]
    view = [1, 1, 1]
    view[axis] = length
    steps = torch.arange(1, length + 1, dtype=torch.int32, device=found.device).view(view)
    before = torch.minimum((found - steps).cummin(axis).values, torch.zeros_like(found)) + steps
    back = found.flip(axis)
    behind = torch.minimum((back - steps).cummin(axis).values, torch.zeros_like(found)) + steps
    found.copy_(torch.minimum(before, behind.flip(axis)))
