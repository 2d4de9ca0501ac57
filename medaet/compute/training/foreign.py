"""What a handful of scans does not show, as shapes at random: gas in the gut, the table, arms, blankets, implants.

A network that has seen one table under one patient takes the next for anatomy. Balls and shells of any size and
brightness, painted where nothing is labelled, teach it that a structure is told by its place and not by its darkness.

Source:
    J. Tobin et al., Domain randomization for transferring deep neural networks from simulation to the real world,
    IROS 2017 (arXiv:1703.06907): what varies enough in training is only one more variation when it is real.
"""

import math

import numpy as np
import torch

from medaet.compute.trained.plan import SpacingMm, Three

MOST_BODIES = 6
RADIUS_MM = (6.0, 300.0)
LARGEST_FILLED_MM = 45.0
"""What is larger is hollow, as a table is; filled, it would leave nothing of the scan."""

WALL_MM = (3.0, 20.0)
FLATTENED = 0.4
TEXTURE = 0.15
KEPT_VOXELS = (1, 2, 2)
"""Around the structures, so that their own borders stay as they are."""


def with_foreign_bodies(
    image: torch.Tensor,
    label: torch.Tensor,
    spacing_mm: SpacingMm,
    random: np.random.Generator,
    generator: torch.Generator,
) -> torch.Tensor:
    """Paint bodies where nothing is labelled.

    Args:
        image: (1, 1, *patch).
        label: Same shape, 0 for background.
        spacing_mm: Along (slice, row, column).
        random: Of the few numbers that describe the bodies.
        generator: Of their texture, on the device of `image`.
    """
    free = (~grown(label > 0, KEPT_VOXELS)).to(image.dtype)
    darkest, span = float(image.amin()), float(image.amax() - image.amin())
    noise = torch.randn(image.shape, generator=generator, device=image.device)
    for _ in range(int(random.integers(1, MOST_BODIES + 1))):
        # extremes are the likeliest: air, metal
        value = darkest + span * float(random.beta(0.5, 0.5))
        texture = noise * (span * TEXTURE * float(random.uniform(0, 1)))
        share = _body(image, spacing_mm, random) * free
        image = torch.lerp(image, value + texture, share)
    return image


def grown(mask: torch.Tensor, voxels: Three) -> torch.Tensor:
    """Grow a mask (1, 1, *patch) by some voxels along each axis: shifted and joined, far faster than pooling."""
    for axis, reach in enumerate(voxels, start=2):
        length, before = mask.shape[axis], mask
        mask = before.clone()
        for shift in range(1, min(reach, length - 1) + 1):
            kept = length - shift
            mask.narrow(axis, shift, kept).logical_or_(before.narrow(axis, 0, kept))
            mask.narrow(axis, 0, kept).logical_or_(before.narrow(axis, shift, kept))
    return mask


def _body(image: torch.Tensor, spacing_mm: SpacingMm, random: np.random.Generator) -> torch.Tensor:
    """Draw an ellipsoid or its shell, turned about the slice axis: its share of each voxel, (*patch)."""
    sizes = [n * each for n, each in zip(image.shape[2:], spacing_mm, strict=True)]
    places = [
        (torch.arange(n, device=image.device) + 0.5) * each - float(random.uniform(0, size))
        for n, each, size in zip(image.shape[2:], spacing_mm, sizes, strict=True)
    ]
    smallest, largest = (math.log(one) for one in RADIUS_MM)
    radius = math.exp(random.uniform(smallest, largest))
    deep, high, wide = radius * random.uniform(FLATTENED, 1, 3)
    angle = float(random.uniform(0, math.pi))
    rows, columns = places[1][:, None], places[2][None, :]
    along = rows * math.cos(angle) + columns * math.sin(angle)
    across = columns * math.cos(angle) - rows * math.sin(angle)
    within_slice = (along / high) ** 2 + (across / wide) ** 2
    away = torch.sqrt((places[0] / deep)[:, None, None] ** 2 + within_slice) - 1
    edge = min(spacing_mm)
    outside = away * float(min(deep, high, wide)) / edge
    if radius <= LARGEST_FILLED_MM and random.random() < 0.7:
        return (0.5 - outside).clamp(0, 1)
    wall = float(random.uniform(*WALL_MM)) / edge
    return (wall / 2 + 0.5 - outside.abs()).clamp(0, 1)
