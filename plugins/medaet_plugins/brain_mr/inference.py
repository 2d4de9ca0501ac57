"""Two passes of the network: find the brain's box in the whole head, then its outline within the box."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn
from torch.nn import functional

from medaet.dicom.volume import Volume
from medaet.errors import FindingsError

BOX_SIZE = (128, 128, 128)
BRAIN_SIZE = (256, 256, 256)
LOW, HIGH = 0.005, 0.995
MARGIN = 0.1
FEWEST_VOXELS = 1000
BINS = 128
SHARE = (0.05, 0.35)
DARK = 0.65
MEAN, DEVIATION = 0.449, 0.226
"""What the networks were trained on: ImageNet's mean and standard deviation."""


@dataclass(frozen=True, slots=True)
class Canonical:
    """How the axes of a volume become (left to right, posterior to anterior, inferior to superior).

    Attributes:
        order: For each canonical axis, the volume's axis among (slice, row, column).
        flipped: Canonical axes along which the volume runs the other way.
    """

    order: tuple[int, int, int]
    flipped: tuple[int, ...]

    @classmethod
    def of(cls, affine: NDArray[np.float64]) -> "Canonical":
        """Find the axes that come closest; `affine` maps (column, row, slice, 1) to LPS+ mm."""
        directions = affine[:3, [2, 1, 0]] * np.array(
            [[-1.0], [-1.0], [1.0]]
        )  # RAS+, by array axis
        directions /= np.linalg.norm(directions, axis=0)
        best = max(
            permutations(range(3)),
            key=lambda order: sum(abs(directions[i, order[i]]) for i in range(3)),
        )
        flipped = tuple(i for i in range(3) if directions[i, best[i]] < 0)
        return cls((best[0], best[1], best[2]), flipped)

    def apply(self, voxels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn an array (slice, row, column) into canonical axes."""
        return np.ascontiguousarray(np.flip(voxels.transpose(self.order), self.flipped))

    def undo(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Turn an array in canonical axes back into (slice, row, column)."""
        back = np.argsort(self.order)
        return np.ascontiguousarray(np.flip(mask, self.flipped).transpose(back))


def find_brain(
    volume: Volume, box_network: nn.Module, brain_network: nn.Module, device: str
) -> NDArray[np.bool_]:
    """Mask the brain.

    Args:
        volume: Head MR of any contrast; axes (slice, row, column).
        box_network: Network of the first pass, on the device.
        brain_network: Network of the second pass, on the device.
        device: In torch's spelling.

    Returns:
        One component without holes, on the volume's grid.

    Raises:
        FindingsError: the image is flat, so that nothing can be seen in it.
    """
    canonical = Canonical.of(volume.affine)
    image = torch.from_numpy(canonical.apply(np.asarray(volume.voxels, dtype=np.float32))).to(
        device
    )
    small = _resized(image, BOX_SIZE)
    low, high = (float(np.quantile(small.cpu().numpy(), at)) for at in (LOW, HIGH))
    if not high > low:
        raise FindingsError("the image is flat: its 0.5 and 99.5 percentiles are the same")
    rough = _inferred(box_network, _normalised(small, low, high)) > 0.5
    mask = np.zeros(image.shape, dtype=np.bool_)
    box = _box(_largest(rough.cpu().numpy()), tuple(image.shape))
    if box is None:
        return canonical.undo(mask)
    inside = image[box]
    scores = _inferred(brain_network, _normalised(_resized(inside, BRAIN_SIZE), low, high))
    found = _resized(scores, (inside.shape[0], inside.shape[1], inside.shape[2])) > 0.5
    mask[box] = found.cpu().numpy()
    filled = ndimage.binary_fill_holes(_largest(mask))
    return canonical.undo(np.asarray(filled, dtype=np.bool_))


def _resized(image: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
    return functional.interpolate(image[None, None], size=shape, mode="nearest-exact")[0, 0]


def _normalised(image: torch.Tensor, low: float, high: float) -> torch.Tensor:
    scaled = (image.clamp(low, high) - low) / (high - low)
    return (scaled - scaled.mean()) / scaled.std() * DEVIATION + MEAN


def _inferred(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        brain: torch.Tensor = network(image[None, None])[0, 1].float()
    return brain


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax(), dtype=np.bool_)


def _box(rough: NDArray[np.bool_], shape: tuple[int, ...]) -> tuple[slice, slice, slice] | None:
    """Scale the box around a rough mask to the image's grid, and grow it; None around nothing."""
    found = ndimage.find_objects(rough.astype(np.uint8))
    if not found:
        return None
    grown = []
    for one, size, small in zip(found[0], shape, rough.shape, strict=True):
        margin = (one.stop - one.start) * MARGIN
        start = max(0, int(np.floor((one.start - margin) * size / small)))
        stop = min(size, int(np.ceil((one.stop + margin) * size / small)))
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
