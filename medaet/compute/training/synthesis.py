"""Images made from maps of tissue, with contrasts at random: a network that learned on them trusts no contrast.

Source:
    B. Billot et al., SynthSeg: Segmentation of brain MRI scans of any contrast and resolution without retraining,
    Medical Image Analysis 86 (2023) 102789.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from medaet.compute.training.tissue import CAVITY

MOST_TISSUES = 256
LARGEST_SD = 0.35
LARGEST_BIAS = 0.5
BIAS_KNOTS = 4
BLACK_AIR_CHANCE = 0.95
X_RAY_CHANCE = 0.35
SOFT_TISSUE_SPAN = (0.03, 0.3)
BONE_ABOVE_SOFT_TISSUE = (0.6, 2.0)
THICK_SLICES_CHANCE = 0.5
THICKEST_VOXELS = 3.0


def synthetic(
    tissue: torch.Tensor, random: np.random.Generator, generator: torch.Generator
) -> torch.Tensor:
    """Make an image of a map of tissue.

    Each tissue gets a mean and a spread of its own, neighbours a common border of partial volume, the whole a slow bias
    field, and half of the images slices of some thickness along one of the axes.

    Args:
        tissue: Whole numbers, 0 for air, (1, 1, *patch), float.
        random: Of the few numbers that describe the image.
        generator: Of the many, on the device of `tissue`.

    Returns:
        Mean 0, standard deviation 1, same shape.
    """
    device = tissue.device
    table = torch.tensor(_contrast(random), dtype=torch.float32, device=device)
    index = tissue.round().long().clamp(0, MOST_TISSUES - 1)
    noise = torch.randn(tissue.shape, generator=generator, device=device)
    image = table[0][index] + table[1][index] * noise
    image = (
        functional.avg_pool3d(functional.pad(image, (1,) * 6, mode="replicate"), 3, stride=1) * 0.5
        + image * 0.5
    )
    knots = torch.randn((1, 1, *[BIAS_KNOTS] * 3), generator=generator, device=device)
    field = functional.interpolate(
        knots, size=tissue.shape[2:], mode="trilinear", align_corners=True
    )
    image = (image + 1.5) * torch.exp(field * float(random.uniform(0, LARGEST_BIAS)))
    if random.random() < THICK_SLICES_CHANCE:
        image = _in_slices(image, int(random.integers(3)), random.uniform(1, THICKEST_VOXELS))
    return (image - image.mean()) / image.std().clamp(min=1e-6)


def _contrast(random: np.random.Generator) -> NDArray[np.float64]:
    """Draw mean and spread of each tissue, (2, tissue).

    Some are as X-rays show a body, which means drawn one by one hardly ever do: all soft tissue nearly the same, and
    what MR leaves dark inside the body brighter than all of it.
    """
    means = random.uniform(-1, 1, MOST_TISSUES)
    spreads = random.uniform(0.02, LARGEST_SD, MOST_TISSUES) * random.uniform(0, 1)
    black_air = random.random() < BLACK_AIR_CHANCE
    if random.random() < X_RAY_CHANCE:
        soft, span = random.uniform(-0.4, 0.4), random.uniform(*SOFT_TISSUE_SPAN)
        means, spreads = soft + means * span, spreads * span
        means[CAVITY] = soft + random.uniform(*BONE_ABOVE_SOFT_TISSUE)
        spreads[CAVITY] = LARGEST_SD * random.uniform(0, 1)
        black_air = True
    if black_air:
        means[0], spreads[0] = -1.2, 0.02
    return np.stack([means, spreads])


def _in_slices(image: torch.Tensor, axis: int, thickness: float) -> torch.Tensor:
    """Average (1, 1, *patch) into slices along an axis, `thickness` in voxels, and interpolate between them."""
    sizes = list(image.shape[2:])
    sizes[axis] = max(2, round(sizes[axis] / thickness))
    thick = functional.interpolate(image, size=sizes, mode="area")
    return functional.interpolate(thick, size=image.shape[2:], mode="trilinear")
