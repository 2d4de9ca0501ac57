"""Maps of tissue for synthesis: the labelled structures, and everything else parted by its intensity."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SMOOTHING_VOXELS = 0.5
CAVITY = 1


def parted(
    image: NDArray[np.float32], labels: NDArray[np.uint8], parts: int, *, structures: int
) -> NDArray[np.uint8]:
    """Part background and structures by intensity.

    Air, the largest group of equal dark voxels, becomes a part of its own where it reaches the border of its slice.
    What is as dark inside the body becomes another: bone and cavities, which MR does not tell from air, but CT does.
    What is left of the background is cut at quantiles. Each structure is cut at its own median, so that a brain has
    grey and white matter.

    Args:
        image: Normalised, (slice, row, column).
        labels: Of the structures, 0 elsewhere.
        parts: Of the background, air among them; with fewer than three, cavities count as air.
        structures: How many there are.

    Returns:
        0 for air, 1 for bone and cavities, up to `parts` - 1 for the rest of the background; then two values for each
        structure.
    """
    smooth = ndimage.gaussian_filter(image, SMOOTHING_VOXELS)
    tissue = np.zeros(labels.shape, dtype=np.uint8)
    outside = labels == 0
    dark = smooth <= _otsu(smooth[outside])
    solid = outside & ~dark
    first = 1
    if parts > 2:
        tissue[outside & dark & ~_open(dark)] = CAVITY
        first = CAVITY + 1
    if parts > first and solid.any():
        cuts = np.quantile(smooth[solid], np.linspace(0, 1, parts - first + 1)[1:-1])
        tissue[solid] = first + np.searchsorted(cuts, smooth[solid])
    for number in range(1, structures + 1):
        inside = labels == number
        if inside.any():
            brighter = smooth > np.median(smooth[inside])
            tissue[inside] = parts + 2 * (number - 1) + brighter[inside]
    return tissue


def _open(dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the dark voxels that reach the border of their slice."""
    border = np.zeros(dark.shape, dtype=np.bool_)
    border[:, (0, -1), :] = border[:, :, (0, -1)] = True
    within_slices = ndimage.generate_binary_structure(3, 1)
    within_slices[(0, 2), :, :] = False
    reached = ndimage.binary_propagation(border & dark, within_slices, dark)
    return np.asarray(reached, dtype=np.bool_)


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
