"""Co-occurrence: which grey levels lie next to each other.

Source:
    IBSI reference manual, Grey level co-occurrence based features (LFYI); symmetric, Chebyshev distance 1.
"""

from collections.abc import Iterator
from math import log

import torch

from medaet.compute.features.field import Field

BLOCK = 1 << 22
"""Cells of the matrices whose features are computed at once."""


def cooccurrences(field: Field, directions: int) -> torch.Tensor:
    """Count pairs of neighbours by region.

    Returns:
        int32 (region, direction, level, level), symmetric; index 0 is level 1.
    """
    width = field.most_bins
    size = field.regions * directions * width * width
    counts = torch.zeros(size, dtype=torch.int64, device=field.flat.device)
    for chunk in field.chunks():
        counts += torch.bincount(_pairs(field, chunk, directions, field.region), minlength=size)
    return _symmetric(counts.view(field.regions, directions, width, width))


def cooccurrences_by_slice(
    field: Field, directions: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Count pairs of neighbours within slices, a few slices at a time.

    Yields:
        Slice numbers, and int64 (slice, direction, level, level).
    """
    width = field.most_bins
    several = max(1, BLOCK // (directions * width * width))
    for first in range(0, field.slice_count, several):
        last = min(first + several, field.slice_count)
        ends = torch.tensor([first, last], device=field.plane.device)
        start, stop = torch.searchsorted(field.plane, ends).tolist()
        keys = _pairs(field, slice(start, stop), directions, field.plane - first)
        size = (last - first) * directions * width * width
        counts = torch.bincount(keys, minlength=size).view(last - first, directions, width, width)
        yield torch.arange(first, last, device=field.plane.device), _symmetric(counts)


def _pairs(field: Field, some: slice, directions: int, owner: torch.Tensor) -> torch.Tensor:
    width = field.most_bins
    level = field.level[some] - 1
    other = field.neighbours(some, directions).long() - 1
    number = torch.arange(directions, device=level.device)[:, None]
    keys = ((owner[some] * directions + number) * width + level) * width + other
    return keys[other >= 0]


def _symmetric(counts: torch.Tensor) -> torch.Tensor:
    return counts + counts.transpose(-1, -2)


def features(counts: torch.Tensor, bins: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute the features of each matrix, in blocks.

    Args:
        counts: (matrix, level, level), symmetric.
        bins: How many grey levels the region of each matrix has.

    Returns:
        One value for each matrix by tag; NaN where a matrix is empty or, for the correlations, of one grey level.
    """
    step = max(1, BLOCK // (counts.shape[-1] ** 2))
    parts = [
        _block(some, levels)
        for some, levels in zip(torch.split(counts, step), torch.split(bins, step), strict=True)
    ]
    return {tag: torch.cat([part[tag] for part in parts]) for tag in parts[0]}


def _block(counts: torch.Tensor, bins: torch.Tensor) -> dict[str, torch.Tensor]:
    p = counts.double() / counts.sum((1, 2))[:, None, None]
    return {
        "cm_joint_max": p.amax((1, 2)),
        **_joint(p),
        **_differences(p, bins.double()[:, None]),
        **_sums(p),
        **_information(p),
    }


def _joint(p: torch.Tensor) -> dict[str, torch.Tensor]:
    level = torch.arange(1, p.shape[-1] + 1, dtype=torch.float64, device=p.device)
    marginal = p.sum(2)
    mean = marginal @ level
    variance = (marginal * (level - mean[:, None]) ** 2).sum(1)
    product = torch.einsum("mij,i,j->m", p, level, level)
    return {
        "cm_joint_avg": mean,
        "cm_joint_var": variance,
        "cm_joint_entr": _entropy(p.flatten(1)),
        "cm_energy": (p**2).sum((1, 2)),
        "cm_corr": torch.where(variance > 0, (product - mean**2) / variance, torch.nan),
        "cm_auto_corr": product,
    }


def _differences(p: torch.Tensor, bins: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute what depends on |i - j|: sums along diagonals."""
    width = p.shape[-1]
    k = torch.arange(width, dtype=torch.float64, device=p.device)
    level = torch.arange(width, device=p.device)
    q = _collected(p, (level[:, None] - level).abs(), width)
    mean = q @ k
    return {
        "cm_diff_avg": mean,
        "cm_diff_var": (q * (k - mean[:, None]) ** 2).sum(1),
        "cm_diff_entr": _entropy(q),
        "cm_contrast": q @ k**2,
        "cm_dissimilarity": mean,
        "cm_inv_diff": q @ (1 / (1 + k)),
        "cm_inv_diff_norm": (q / (1 + k / bins)).sum(1),
        "cm_inv_diff_mom": q @ (1 / (1 + k**2)),
        "cm_inv_diff_mom_norm": (q / (1 + (k / bins) ** 2)).sum(1),
        "cm_inv_var": q[:, 1:] @ k[1:] ** -2,
    }


def _sums(p: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute what depends on i + j: sums along the other diagonals."""
    width = p.shape[-1]
    k = torch.arange(2, 2 * width + 1, dtype=torch.float64, device=p.device)
    level = torch.arange(width, device=p.device)
    q = _collected(p, level[:, None] + level, 2 * width - 1)
    mean = q @ k
    apart = k - mean[:, None]
    return {
        "cm_sum_avg": mean,
        "cm_sum_var": (q * apart**2).sum(1),
        "cm_sum_entr": _entropy(q),
        "cm_clust_tend": (q * apart**2).sum(1),
        "cm_clust_shade": (q * apart**3).sum(1),
        "cm_clust_prom": (q * apart**4).sum(1),
    }


def _information(p: torch.Tensor) -> dict[str, torch.Tensor]:
    marginal = p.sum(2)
    joint, single = _entropy(p.flatten(1)), _entropy(marginal)
    # For a symmetric matrix both entropies of the product of marginals are twice the marginal's.
    return {
        "cm_info_corr1": torch.where(single > 0, (joint - 2 * single) / single, torch.nan),
        "cm_info_corr2": (1 - torch.exp(-2 * (2 * single - joint))).clamp(min=0).sqrt(),
    }


def _collected(p: torch.Tensor, into: torch.Tensor, width: int) -> torch.Tensor:
    sums = torch.zeros((p.shape[0], width), dtype=p.dtype, device=p.device)
    sums.index_add_(1, into.flatten(), p.flatten(1))
    return sums


def _entropy(p: torch.Tensor) -> torch.Tensor:
    nats: torch.Tensor = torch.special.entr(p).sum(1)
    return nats / log(2)
