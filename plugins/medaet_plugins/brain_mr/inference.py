"""Two passes of the network: find the brain's box in the whole head, then its outline within the box."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from medaet.compute.intensity import percentile
from medaet.compute.orient import Orientation
from medaet.compute.sliding import Network
from medaet.dicom.volume import Volume
from medaet.errors import FindingsError
from medaet.plugin.analysis import AnalysisRuntime

BOX_SIZE = (128, 128, 128)
BRAIN_SIZE = (256, 256, 256)
ORIENTATION = "RAS"
LOW, HIGH = 0.005, 0.995
MARGIN = 0.1
FEWEST_VOXELS = 1000
BINS = 128
SHARE = (0.05, 0.35)
DARK = 0.65
MEAN, DEVIATION = 0.449, 0.226
"""What the networks were trained on: ImageNet's mean and standard deviation."""

Three = tuple[int, int, int]


class Contrast:
    """Maps intensities as the networks want them; the range is that of the image it is shown first, the whole head."""

    def __init__(self) -> None:
        self._range: tuple[float, float] | None = None

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Map an image (channel, ...).

        Raises:
            FindingsError: the head is flat, so that nothing can be seen in it.
        """
        low, high = self._range = self._range or _ends(image)
        if not high > low:
            raise FindingsError("the image is flat: its 0.5 and 99.5 percentiles are the same")
        scaled = (image.clamp(low, high) - low) / (high - low)
        return (scaled - scaled.mean()) / scaled.std() * DEVIATION + MEAN


def find_brain(
    volume: Volume, box_network: Network, brain_network: Network, runtime: AnalysisRuntime
) -> NDArray[np.bool_]:
    """Mask the brain.

    Args:
        volume: Head MR of any contrast; axes (slice, row, column).
        box_network: Network of the first pass, on the device.
        brain_network: Network of the second pass, on the device.
        runtime: Runs them.

    Returns:
        One component without holes, on the volume's grid.

    Raises:
        FindingsError: the image is flat, so that nothing can be seen in it.
    """
    contrast = Contrast()
    mask = np.zeros(volume.voxels.shape, dtype=np.bool_)
    rough = _segmented(volume, box_network, BOX_SIZE, contrast, runtime)
    box = _box(_largest(rough))
    if box is None:
        return mask
    mask[box] = _segmented(_cut(volume, box), brain_network, BRAIN_SIZE, contrast, runtime)
    filled = ndimage.binary_fill_holes(_largest(mask))
    return np.asarray(filled, dtype=np.bool_)


def _segmented(
    volume: Volume, network: Network, size: Three, contrast: Contrast, runtime: AnalysisRuntime
) -> NDArray[np.bool_]:
    """Show a network all of a volume as one window, whatever the voxels become; True where it says brain."""
    turn = Orientation.towards(ORIENTATION, volume.affine)
    extent = turn.along(np.multiply(volume.voxels.shape, volume.spacing_mm).tolist())
    first, second, third = (length / count for length, count in zip(extent, size, strict=True))
    return runtime.segment(
        network,
        volume,
        spacing_mm=(first, second, third),
        window=size,
        orientation=ORIENTATION,
        interpolation="nearest",
        intensity=contrast,
        skip_background=False,
    ).astype(np.bool_)


def _ends(image: torch.Tensor) -> tuple[float, float]:
    low, high = (float(percentile(image, 100 * share)) for share in (LOW, HIGH))
    return low, high


def _cut(volume: Volume, box: tuple[slice, slice, slice]) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] = (volume.affine @ [*(one.start for one in reversed(box)), 1.0])[:3]
    return Volume(volume.voxels[box].copy(), affine, volume.modality)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax(), dtype=np.bool_)


def _box(rough: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """Grow the box around a rough mask; None around nothing."""
    found = ndimage.find_objects(rough.astype(np.uint8))
    if not found:
        return None
    grown = []
    for one, size in zip(found[0], rough.shape, strict=True):
        margin = (one.stop - one.start) * MARGIN
        start = max(0, int(np.floor(one.start - margin)))
        stop = min(size, int(np.ceil(one.stop + margin)))
        grown.append(slice(start, stop))
    return grown[0], grown[1], grown[2]


def tissue(volume: Volume, inside: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Tell tissue from fluid within the skull, where the contrast allows it.

    Three classes by Otsu's method (fluid, grey and white matter on T1). They are believed when the darkest is much
    darker than the next and of a plausible size.

    Args:
        volume: The image; axes (slice, row, column).
        inside: What `find_brain` found.

    Returns:
        `inside` without the darkest class; None where fluid is not clearly dark.

    Source:
        N. Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979) 62, for three classes.
    """
    values = np.asarray(volume.voxels, dtype=np.float32)[inside]
    if values.size < FEWEST_VOXELS:
        return None
    lower, _ = _thresholds(values)
    dark, rest = values[values <= lower], values[values > lower]
    share = dark.size / values.size
    if not SHARE[0] < share < SHARE[1] or dark.mean() > DARK * np.median(rest):
        return None
    solid = inside.copy()
    solid[inside] = values > lower
    return solid


def _thresholds(values: NDArray[np.float32]) -> tuple[float, float]:
    """Split values into three classes of the largest variance between them."""
    low, high = np.quantile(values, (LOW, HIGH))
    counts, edges = np.histogram(values, BINS, (low, max(high, low + 1)))
    centres = (edges[1:] + edges[:-1]) / 2
    share = np.cumsum(counts) / counts.sum()
    moment = np.cumsum(counts * centres) / counts.sum()
    first, second = np.triu_indices(BINS - 1, k=1)
    weights = np.stack([share[first], share[second] - share[first], 1 - share[second]])
    moments = np.stack([moment[first], moment[second] - moment[first], moment[-1] - moment[second]])
    between = (moments**2 / np.maximum(weights, 1e-9)).sum(axis=0)
    best = int(between.argmax())
    return float(edges[first[best] + 1]), float(edges[second[best] + 1])
