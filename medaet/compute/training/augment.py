"""Variation of training patches, on the device: space first, by one map for image and labels, then intensities."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from medaet.compute.trained.plan import Plan, SpacingMm, Three
from medaet.compute.training.foreign import grown, with_foreign_bodies
from medaet.compute.training.patches import Batch
from medaet.compute.training.synthesis import synthetic
from medaet.config.training import AugmentSection

BLUR_VOXELS = (0.4, 1.2)
COARSEST = 3.0
BORDER_VOXELS = 2
SOFT_TISSUE_HU = (0.0, 80.0)
TISSUE_SD_HU = 40.0


class Augment:
    """Varies batches.

    Args:
        plan: Patch, spacing and flips.
        settings: Chances and sizes.
        parts: Of the background, for synthesis.
    """

    def __init__(self, plan: Plan, settings: AugmentSection, parts: int) -> None:
        self._plan = plan
        self._settings = settings
        self._parts = parts

    def __call__(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Vary a batch.

        Returns:
            Images and labels, float32 (item, 1, *patch), on the batch's device.
        """
        device = batch.images.device
        randoms = [np.random.default_rng(seed) for seed in batch.seeds]
        crop = _three(batch.images.shape[2:])
        maps = np.stack([placement(self._plan, self._settings, crop, one) for one in randoms])
        batch = replace(batch, images=batch.images.float(), labels=batch.labels.float())
        images, labels = moved(batch, torch.from_numpy(maps).float().to(device), self._plan.patch)
        varied = []
        for number, random in enumerate(randoms):
            generator = torch.Generator(device).manual_seed(int(random.integers(2**62)))
            image, label = images[number : number + 1], labels[number : number + 1]
            if batch.synthetic[number]:
                image = synthetic(image, random, generator)
            elif random.random() < self._settings.empty_side:
                image, label = self._emptied(image, label, random, generator)
            foreign = self._settings.foreign_bodies
            if foreign and random.random() < foreign:
                spacing = self._plan.spacing_mm
                image = with_foreign_bodies(image, label, spacing, random, generator)
            varied.append((self._disturbed(image, random, generator), label))
        return torch.cat([one for one, _ in varied]), torch.cat([one for _, one in varied])

    def _disturbed(
        self, image: torch.Tensor, random: np.random.Generator, generator: torch.Generator
    ) -> torch.Tensor:
        """Vary the intensities of one patch, (1, 1, *patch)."""
        settings = self._settings
        image = _gamma(image, float(random.uniform(*settings.gamma)))
        shift = float(random.uniform(-settings.shift, settings.shift))
        image = image * float(random.uniform(*settings.contrast)) + shift
        if random.random() < settings.blur:
            image = blurred(image, float(random.uniform(*BLUR_VOXELS)))
        if random.random() < settings.low_resolution:
            image = coarsened(image, float(random.uniform(1.0, COARSEST)), self._plan.spacing_mm)
        noise = torch.randn(image.shape, generator=generator, device=image.device)
        return image + noise * float(random.uniform(0, settings.noise))

    def _emptied(
        self,
        image: torch.Tensor,
        label: torch.Tensor,
        random: np.random.Generator,
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn the structures on one side of a random slice into soft tissue (CT only)."""
        if self._plan.intensity is None:
            return image, label
        low, high = self._plan.intensity
        slices = label.shape[2]
        cut = int(random.integers(slices + 1))
        side = torch.zeros(slices, dtype=torch.bool, device=label.device)
        side[slice(0, cut) if random.random() < 0.7 else slice(cut, slices)] = True
        gone = grown(label > 0, (0, BORDER_VOXELS, BORDER_VOXELS)) & side[:, None, None]
        coarse = (
            torch.randn((1, 1, 4, 8, 8), generator=generator, device=image.device) * TISSUE_SD_HU
        )
        coarse = coarse + float(random.uniform(*SOFT_TISSUE_HU))
        tissue = functional.interpolate(coarse, size=label.shape[2:], mode="trilinear")
        value = ((tissue - low) / (high - low) * 2 - 1).clamp(-1, 1)
        return torch.where(gone, value, image), torch.where(gone, 0.0, label)


def moved(batch: Batch, maps: torch.Tensor, patch: Three) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample image and labels at the mapped places of a patch; labels and tissues by nearest voxel."""
    grid = functional.affine_grid(maps, [len(maps), 1, *patch], align_corners=False)
    labels = _sampled(batch.labels, grid, "nearest")
    if all(batch.synthetic):
        return _sampled(batch.images, grid, "nearest"), labels
    images = _sampled(batch.images, grid, "bilinear")
    for number, one in enumerate(batch.synthetic):
        if one:
            picked = slice(number, number + 1)
            images[picked] = _sampled(batch.images[picked], grid[picked], "nearest")
    return images, labels


def placement(
    plan: Plan, settings: AugmentSection, crop: Three, random: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Draw an affine map from patch to crop coordinates, (3, 4), x first, both from -1 to 1.

    Turns are turns in millimetres: a voxel's shape does not shear them.
    """
    limit = math.radians(settings.rotation_degrees)
    spacing = np.asarray(plan.spacing_mm[::-1])
    flatness = min(1.0, float(spacing[0] / spacing[2]))
    angles = random.uniform(-limit, limit, 3) * (flatness, flatness, 1.0)
    smallest, largest = (math.log(one) for one in settings.scale)
    scale = np.exp(random.uniform(smallest, largest, 3))
    mirror = [
        -1.0 if 2 - axis in plan.mirror and random.random() < 0.5 else 1.0 for axis in range(3)
    ]
    turn = _turn(*angles) @ np.diag(scale * mirror)
    voxels = np.diag(1 / spacing) @ turn @ np.diag(spacing)
    matrix = np.diag(1 / np.asarray(crop[::-1])) @ voxels @ np.diag(plan.patch[::-1])
    return np.concatenate([matrix, np.zeros((3, 1))], axis=1)


def blurred(image: torch.Tensor, sigma: float, axes: Sequence[int] = (2, 3, 4)) -> torch.Tensor:
    """Smooth (1, 1, *patch) by a Gaussian, `sigma` in voxels."""
    reach = max(1, math.ceil(2 * sigma))
    places = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    weights = torch.exp(-(places**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    for axis in axes:
        shape = [1, 1, 1, 1, 1]
        shape[axis] = len(weights)
        padding = [0] * 6
        padding[2 * (4 - axis)] = padding[2 * (4 - axis) + 1] = reach
        image = functional.conv3d(
            functional.pad(image, padding, mode="replicate"), weights.reshape(shape)
        )
    return image


def coarsened(image: torch.Tensor, factor: float, spacing_mm: SpacingMm) -> torch.Tensor:
    """Lose resolution: fewer voxels along the axes with the finest spacing, and back."""
    finest = min(spacing_mm)
    sizes = [
        max(2, round(n / factor)) if spacing < 2 * finest else n
        for n, spacing in zip(image.shape[2:], spacing_mm, strict=True)
    ]
    small = functional.interpolate(image, size=sizes, mode="trilinear")
    return functional.interpolate(small, size=image.shape[2:], mode="trilinear")


def _gamma(image: torch.Tensor, gamma: float) -> torch.Tensor:
    low, high = image.amin(), image.amax()
    span = (high - low).clamp(min=1e-6)
    return ((image - low) / span).clamp(min=0) ** gamma * span + low


def _sampled(image: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
    return functional.grid_sample(
        image, grid, mode=mode, padding_mode="border", align_corners=False
    )


def _turn(x: float, y: float, z: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    about_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, dtype=np.float64)


def _three(values: Sequence[int]) -> Three:
    first, second, third = values
    return first, second, third
