"""Directions in the patient: which array axes run closest to those that letters name."""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from medaet.errors import PluginError

_DIRECTIONS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Letters by patient axis (x, y, z of LPS+) and sign: the direction in which an index grows."""

Order = tuple[int, int, int]


def nearest_axes(letters: str, affine: NDArray[np.float64]) -> tuple[Order, tuple[int, ...]]:
    """Find the axes of a volume that come closest to three directions in the patient.

    Args:
        letters: Direction of each wanted axis: one of R or L, A or P, S or I each, as in "RAS".
        affine: Maps (column, row, slice, 1) to LPS+ mm.

    Returns:
        For each wanted axis the volume's axis among (slice, row, column); and the wanted axes along which the volume
        runs the other way.

    Raises:
        PluginError: the letters do not name three directions.
    """
    wanted = [_DIRECTIONS.get(letter) for letter in letters.upper()]
    if len(wanted) != 3 or {one[0] for one in wanted if one} != {0, 1, 2}:
        raise PluginError(
            f"orientation {letters!r}: write one of R or L, A or P, S or I for each axis"
        )
    columns = affine[:3, [2, 1, 0]]
    directions = columns / np.linalg.norm(columns, axis=0)
    # signed[i, j]: how far the volume's axis j runs the way the wanted axis i should
    signed = np.array([directions[one[0]] * one[1] for one in wanted if one])
    best = max(
        permutations(range(3)), key=lambda order: sum(abs(signed[i, order[i]]) for i in range(3))
    )
    flipped = tuple(i for i in range(3) if signed[i, best[i]] < 0)
    return (best[0], best[1], best[2]), flipped
