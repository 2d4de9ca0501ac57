"""Connected parts of structures: how many one has, and only so many kept of what was found."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medaet.compute.parts import Parts

NEARLY_ALL = 0.99


def count(mask: NDArray[np.bool_]) -> int:
    """Return how many parts, the largest first, make up nearly all of a mask; 0 for an empty one."""
    sizes = np.sort(Parts(mask).sizes)[::-1]
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
    boxes = ndimage.find_objects(labels)
    for number, (most, box) in enumerate(zip(parts, boxes, strict=False), start=1):
        if not most or box is None:
            continue
        found = Parts(labels[box] == number)
        if len(found.sizes) > most:
            result[box][found.mask(*found.largest(len(found.sizes))[most:])] = 0
    return result
