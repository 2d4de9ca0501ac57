"""Maps of tissue for synthesis: the labelled structures, and everything else parted by its intensity."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SMOOTHING_VOXELS = 1.0


def parted(
    image: NDArray[np.float32], labels: NDArray[np.uint8], parts: int, *, structures: int
) -> NDArray[np.uint8]:
    """Part background and structures by intensity.

    Air, the largest group of equal dark voxels, becomes a part of its own; what is left of the background is cut at
    quantiles. Each structure is cut at its own median, so that a brain has grey and white matter.

    Args:
        image: Normalised, (slice, row, column).
        labels: Of the structures, 0 elsewhere.
        parts: Of the background, air among them.
        structures: How many there are.

    Returns:
        0 for air; 1 to `parts` - 1 for the other parts of the background; then two values for each structure.
    """
    smooth = ndimage.gaussian_filter(image, SMOOTHING_VOXELS)
    tissue = np.zeros(labels.shape, dtype=np.uint8)
    outside = labels == 0
    values = smooth[outside]
    air = _otsu(values)
    solid = outside & (smooth > air)
    if parts > 1 and solid.any():
        cuts = np.quantile(smooth[solid], np.linspace(0, 1, parts)[1:-1])
        tissue[solid] = 1 + np.searchsorted(cuts, smooth[solid])
    for number in range(1, structures + 1):
        inside = labels == number
        if inside.any():
            brighter = smooth > np.median(smooth[inside])
            tissue[inside] = parts + 2 * (number - 1) + brighter[inside]
    return tissue


def label_of(tissue: NDArray[np.uint8], parts: int) -> NDArray[np.uint8]:
    """Return the structure that each tissue belongs to."""
    return np.where(tissue >= parts, (tissue.astype(np.int16) - parts) // 2 + 1, 0).astype(np.uint8)


def _otsu(values: NDArray[np.float32]) -> float:
    """Return the threshold that parts values into two groups as different as can be.

    Source:
        N. Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979) 62.
    """
    if not len(values):
        return 0.0
    counts, edges = np.histogram(values, bins=128)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][int(np.nanargmax(np.where(np.isfinite(between), between, -1)))])
