"""Surroundings: how a voxel's grey level compares with all of its neighbours.

Source:
    IBSI reference manual, Neighbourhood grey tone difference (IPET) and neighbouring grey level dependence (REK0) based
    features; Chebyshev distance 1, coarseness 0.
"""

from dataclasses import dataclass

import torch

from medaet.compute.features.entries import Entries, tallied
from medaet.compute.features.field import Field

BLOCK = 1 << 22
MAXIMUM_COARSENESS = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Tones:
    """Neighbourhood grey tone differences of several matrices.

    Attributes:
        count: (matrix, level); voxels that have a neighbour.
        difference: (matrix, level); sum of |level - mean of the neighbours| over them.
    """

    count: torch.Tensor
    difference: torch.Tensor


def surroundings(field: Field, directions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Look at all neighbours of each voxel, in and against each direction.

    Returns:
        Mean grey level of the neighbours within the region, NaN without any; and how many neighbours have the voxel's
        own grey level, itself included.
    """
    means, alike = [], []
    for chunk in field.chunks():
        around = torch.cat([field.neighbours(chunk, directions, step) for step in (1, -1)])
        means.append(around.sum(0).double() / (around > 0).sum(0))
        alike.append((around == field.level[chunk]).sum(0) + 1)
    return torch.cat(means), torch.cat(alike)


def dependences(field: Field, alike: torch.Tensor, *, by_slice: bool) -> Entries:
    """Count voxels by grey level and number of alike neighbours; a matrix for each region, or for each slice."""
    owner = field.plane if by_slice else field.region
    owners = field.slice_count if by_slice else field.regions
    return tallied(owner, field.level, alike, None, owners)


def tones(field: Field, means: torch.Tensor, *, by_slice: bool) -> Tones:
    """Sum tone differences; a matrix for each region, or for each slice."""
    owner = field.plane if by_slice else field.region
    owners, width = field.slice_count if by_slice else field.regions, field.most_bins
    known = ~means.isnan()
    keys = (owner * width + field.level - 1)[known]
    apart = (field.level[known] - means[known]).abs()
    size = owners * width
    return Tones(
        torch.bincount(keys, minlength=size).double().view(owners, width),
        torch.bincount(keys, weights=apart, minlength=size).view(owners, width),
    )


def tone_features(tones: Tones) -> dict[str, torch.Tensor]:
    """Compute the features of each matrix, NaN where no voxel has a neighbour."""
    step = max(1, BLOCK // tones.count.shape[1] ** 2)
    parts = [
        _block(count, difference)
        for count, difference in zip(
            torch.split(tones.count, step), torch.split(tones.difference, step), strict=True
        )
    ]
    return {tag: torch.cat([part[tag] for part in parts]) for tag in parts[0]}


def _block(count: torch.Tensor, s: torch.Tensor) -> dict[str, torch.Tensor]:
    voxels = count.sum(1)
    p = count / voxels[:, None]
    i = torch.arange(1, p.shape[1] + 1, dtype=torch.float64, device=p.device)
    present = p > 0
    levels = present.sum(1)
    both = present[:, :, None] & present[:, None, :]
    weighted, total = (p * s).sum(1), s.sum(1)
    apart = (i[:, None] - i).abs()
    spread = 2 * ((p @ i**2) * p.sum(1) - (p @ i) ** 2)
    busy = (both * ((i * p)[:, :, None] - (i * p)[:, None, :]).abs()).sum((1, 2))
    sums = p[:, :, None] + p[:, None, :]
    shares = ((p * s)[:, :, None] + (p * s)[:, None, :]) / torch.where(both, sums, 1)
    several = levels > 1
    strength = (both * sums * apart**2).sum((1, 2)) / total
    known = voxels > 0
    return {
        "ngt_coarseness": (1 / weighted).clamp(max=MAXIMUM_COARSENESS),
        "ngt_contrast": _where(known, several, spread / (levels * (levels - 1)) * total / voxels),
        "ngt_busyness": _where(known, several, weighted / busy),
        "ngt_complexity": (both * apart * shares).sum((1, 2)) / voxels,
        "ngt_strength": _where(known, total > 0, strength),
    }


def _where(known: torch.Tensor, other: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return the values, 0 where IBSI defines it so, and NaN where nothing is known."""
    defined = torch.where(other, values, torch.zeros_like(values))
    return torch.where(known, defined, torch.nan)
