"""Runs: how many voxels of one grey level follow each other in a direction.

Source:
    IBSI reference manual, Grey level run length based features (TP0I).
"""

import torch

from medaet.compute.features.entries import Entries, joined, tallied
from medaet.compute.features.field import Field


def runs(field: Field, directions: int, *, by_slice: bool) -> Entries:
    """Count runs.

    Every voxel is looked at once as the start of a run, or once as a later voxel of one, in each direction.

    Args:
        field: The regions.
        directions: How many directions, those within a slice first.
        by_slice: A matrix for each slice instead of for each region.

    Returns:
        Matrix number = (region or slice) * directions + direction.
    """
    owner = field.plane if by_slice else field.region
    owners = field.slice_count if by_slice else field.regions
    parts = []
    for chunk in field.chunks():
        level = field.level[chunk]
        is_start = field.neighbours(chunk, directions, -1) != level
        direction, voxel = is_start.nonzero(as_tuple=True)
        matrix = owner[chunk][voxel] * directions + direction
        length = _lengths(field, direction, voxel + chunk.start)
        parts.append(tallied(matrix, level[voxel], length, None, owners * directions))
    return joined(parts)


def _lengths(field: Field, direction: torch.Tensor, voxel: torch.Tensor) -> torch.Tensor:
    """Follow each run from its start until it ends."""
    length = torch.ones_like(voxel)
    step = field.offsets[direction, field.region[voxel]]
    level = field.flat[field.at[voxel]]
    going, place = torch.arange(len(voxel), device=voxel.device), field.at[voxel]
    while len(going):
        place = place + step[going]
        goes_on = field.flat[place] == level[going]
        going, place = going[goes_on], place[goes_on]
        length[going] += 1
    return length
