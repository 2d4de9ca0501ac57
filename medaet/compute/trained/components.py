"""Connected parts of structures: how many one has, and only so many kept of what was found."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

NEARLY_ALL = 0.99


def count(mask: NDArray[np.bool_]) -> int:
    """Return how many parts, the largest first, make up nearly all of a mask; 0 for an empty one."""
    sizes = np.sort(_sizes(mask)[1])[::-1]
    return (
        int(np.searchsorted(np.cumsum(sizes), NEARLY_ALL * sizes.sum()) + 1) if sizes.any() else 0
    )


def kept(labels: NDArray[np.uint8], parts: Sequence[int]) -> NDArray[np.uint8]:
    """Keep the largest parts of each structure; the others become background.

    Args:
        labels: The n-th structure is n, (slice, row, column).
        parts: How many each structure keeps; 0 for all.
    """
    result = labels.copy()
    for number, most in enumerate(parts, start=1):
        if not most:
            continue
        parted, sizes = _sizes(labels == number)
        if len(sizes) > most:
            small = np.argsort(sizes)[::-1][most:] + 1
            result[np.isin(parted, small)] = 0
    return result


def _sizes(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number the parts of a mask from 1, and return the voxels of each."""
    parted, _ = ndimage.label(mask)
    return parted, np.bincount(parted.ravel())[1:]
