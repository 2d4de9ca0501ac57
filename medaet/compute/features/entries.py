"""Texture matrices as lists of their entries that are not zero, and the features that four families share.

Runs, size zones, distance zones and dependences all make a matrix of grey level by some length; their features are the
same sums over it under different names.

Source:
    IBSI reference manual, Grey level run length (TP0I), size zone (9SAK) and distance zone (VMDZ) based features, and
    neighbouring grey level dependence based features (REK0).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

DENSE = 1 << 24
"""Tallies up to this size are counted into an array, greater ones by sorting."""


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Entries of several matrices.

    Attributes:
        matrix: Which matrix each belongs to.
        level: Grey level, from 1.
        length: Length, size, distance or count of dependences, from 1.
        count: How often, double precision.
        matrices: How many matrices there are; some may be empty.
    """

    matrix: torch.Tensor
    level: torch.Tensor
    length: torch.Tensor
    count: torch.Tensor
    matrices: int

    def merged(self, into: torch.Tensor, matrices: int) -> "Entries":
        """Add matrices up.

        Args:
            into: For each matrix the number of the one it goes into, or -1 to leave it out.
            matrices: How many there are afterwards.
        """
        matrix = into[self.matrix]
        kept = matrix >= 0
        return tallied(
            matrix[kept], self.level[kept], self.length[kept], self.count[kept], matrices
        )


def tally(keys: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Count keys from 0 to size - 1; return those that occur, and how often."""
    if size <= DENSE:
        counts = torch.bincount(keys, minlength=size)
        found = counts.nonzero().flatten()
        return found, counts[found]
    found, counts = torch.unique(keys, return_counts=True)
    return found, counts


def tallied(
    matrix: torch.Tensor,
    level: torch.Tensor,
    length: torch.Tensor,
    count: torch.Tensor | None,
    matrices: int,
) -> Entries:
    """Make entries of single events, or of entries that may repeat.

    Args:
        matrix: Number of the matrix of each.
        level: Grey level, from 1.
        length: From 1.
        count: How often each; None for once.
        matrices: How many matrices there are.
    """
    if not len(matrix):
        empty = torch.zeros(0, dtype=torch.int64, device=matrix.device)
        return Entries(empty, empty, empty, empty.double(), matrices)
    levels, lengths = int(level.max()) + 1, int(length.max()) + 1
    keys = (matrix * levels + level) * lengths + length
    if count is None:
        found, counts = tally(keys, matrices * levels * lengths)
    else:
        found, at = torch.unique(keys, return_inverse=True)
        counts = torch.bincount(at, weights=count, minlength=len(found))
    rest = found // lengths
    return Entries(rest // levels, rest % levels, found % lengths, counts.double(), matrices)


def joined(parts: Sequence[Entries]) -> Entries:
    """Join the entries of chunks that may have filled the same matrices."""
    if len(parts) == 1:
        return parts[0]
    return tallied(
        torch.cat([part.matrix for part in parts]),
        torch.cat([part.level for part in parts]),
        torch.cat([part.length for part in parts]),
        torch.cat([part.count for part in parts]),
        parts[0].matrices,
    )


def emphases(entries: Entries, voxels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute the features of each matrix.

    Args:
        entries: The matrices.
        voxels: How many voxels each was made from, once for each direction.

    Returns:
        One value for each matrix, NaN where a matrix is empty, by a name such as "short_high".
    """
    matrix, count = entries.matrix, entries.count
    level, length = entries.level.double(), entries.length.double()
    total = _sum(entries, count)
    share = count / total[matrix]

    def mean(values: torch.Tensor) -> torch.Tensor:
        return torch.where(total > 0, _sum(entries, share * values), torch.nan)

    low, high, short, long = level**-2, level**2, length**-2, length**2
    middle_level, middle_length = mean(level), mean(length)
    by_level, by_length = _by(entries, entries.level), _by(entries, entries.length)
    return {
        "short": mean(short),
        "long": mean(long),
        "low": mean(low),
        "high": mean(high),
        "short_low": mean(short * low),
        "short_high": mean(short * high),
        "long_low": mean(long * low),
        "long_high": mean(long * high),
        "level_nonuniformity": by_level / total,
        "level_nonuniformity_normalised": by_level / total**2,
        "length_nonuniformity": by_length / total,
        "length_nonuniformity_normalised": by_length / total**2,
        "percentage": torch.where(total > 0, total / voxels, torch.nan),
        "level_variance": mean((level - middle_level[matrix]) ** 2),
        "length_variance": mean((length - middle_length[matrix]) ** 2),
        "entropy": -mean(share.log2()),
        "energy": mean(share),
    }


def _sum(entries: Entries, values: torch.Tensor) -> torch.Tensor:
    return torch.bincount(entries.matrix, weights=values, minlength=entries.matrices)


def _by(entries: Entries, index: torch.Tensor) -> torch.Tensor:
    """Sum the squares of a matrix's row sums, or of its column sums."""
    if not len(index):
        return torch.zeros(entries.matrices, dtype=torch.float64, device=index.device)
    width = int(index.max()) + 1
    keys = entries.matrix * width + index
    if entries.matrices * width <= DENSE:
        sums = torch.bincount(keys, weights=entries.count, minlength=entries.matrices * width)
        return (sums**2).view(entries.matrices, width).sum(1)
    found, at = torch.unique(keys, return_inverse=True)
    sums = torch.bincount(at, weights=entries.count, minlength=len(found))
    return torch.bincount(found // width, weights=sums**2, minlength=entries.matrices)
