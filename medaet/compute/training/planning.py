"""What the network sees and how large it is: planned from the data and the device, overridden by the configuration.

The rules are nnU-Net's in spirit: the median spacing, unless that would not fit; a patch of the shape of the median
scan, as large as fits; pooling of each axis until the voxels are isotropic and then of all axes alike.

Source:
    F. Isensee et al., Nature Methods 18 (2021) 203.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from medaet.compute.trained.plan import Plan, SpacingMm, Three
from medaet.compute.training.fingerprint import (
    Fingerprint,
    foreground_range,
    median_extent_mm,
    median_spacing,
)
from medaet.config.training import TrainingConfig

SMALLEST_SIDE = 8
SOFT_TISSUE_HU = 400.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What fits a device.

    Attributes:
        scan_voxels: Of a whole scan at the planned spacing.
        patch_voxels: Of one patch.
        channels: Of the network, from its finest level to its coarsest.
        steps_per_epoch: Batches in an epoch.
    """

    scan_voxels: int
    patch_voxels: int
    channels: tuple[int, ...]
    batch: int
    steps_per_epoch: int


CPU = Budget(700_000, 300_000, (8, 16, 32, 64), 2, 25)
SMALL_GPU = Budget(60_000_000, 96**3, (32, 64, 128, 256, 320), 2, 250)
LARGE_GPU = Budget(120_000_000, 128**3, (32, 64, 128, 256, 320, 320), 2, 250)
LARGE_GPU_BYTES = 20 * 2**30


def budget(device: str) -> Budget:
    """Say what fits a device, by its memory."""
    if not device.startswith("cuda"):
        return CPU
    total = torch.cuda.get_device_properties(device).total_memory
    return LARGE_GPU if total >= LARGE_GPU_BYTES else SMALL_GPU


def plan(
    config: TrainingConfig, prints: Sequence[Fingerprint], modality: str, limits: Budget
) -> Plan:
    """Plan a network.

    Args:
        config: What it says overrides what would be planned.
        prints: Of the training cases alone: validation and test decide nothing.
        modality: Of the scans.
        limits: What fits the device.
    """
    wanted = config.plan
    extent = median_extent_mm(prints)
    spacing = wanted.spacing_mm or _spacing(median_spacing(prints), extent, limits.scan_voxels)
    channels = wanted.channels or limits.channels
    levels = len(channels) - 1
    patch = wanted.patch or _patch(extent, spacing, limits.patch_voxels, levels)
    intensity = wanted.intensity or (
        "z-score" if modality != "CT" or config.synthesis.used else _window(prints)
    )
    sides = any(one.modifier is not None for one in config.structures)
    mirror = config.augment.mirror
    return Plan(
        modality=modality,
        structures=tuple(one.name for one in config.structures),
        spacing_mm=spacing,
        patch=patch,
        batch=wanted.batch or limits.batch,
        steps_per_epoch=config.training.steps_per_epoch or limits.steps_per_epoch,
        network=wanted.network or "unet",
        channels=channels,
        strides=strides(spacing, patch, levels),
        # By the statistics of one window alone, a window of plain tissue would be stretched until it shows structure;
        # where values have a scale of their own, as on CT, the batch's are better.
        norm=wanted.norm or ("instance" if intensity == "z-score" else "batch"),
        intensity=None if isinstance(intensity, str) else intensity,
        mirror=mirror if mirror is not None else (() if sides else (2,)),
        parts=tuple(
            one.parts if one.parts is not None else _parts([each.parts[number] for each in prints])
            for number, one in enumerate(config.structures)
        ),
    )


def strides(spacing: SpacingMm, patch: Three, levels: int) -> tuple[Three, ...]:
    """Choose the pooling of each level: an axis waits while its voxels are twice as long as the shortest."""
    sizes, lengths, found = list(patch), list(spacing), []
    for _ in range(levels):
        shortest = min(lengths)
        stride = [
            2
            if lengths[axis] < 2 * shortest
            and sizes[axis] >= SMALLEST_SIDE
            and sizes[axis] % 2 == 0
            else 1
            for axis in range(3)
        ]
        sizes = [size // step for size, step in zip(sizes, stride, strict=True)]
        lengths = [length * step for length, step in zip(lengths, stride, strict=True)]
        found.append((stride[0], stride[1], stride[2]))
    return tuple(found)


def _parts(seen: Sequence[int]) -> int:
    """Keep one part of a structure that has one wherever it is shown, else all."""
    return 1 if set(seen) <= {0, 1} and 1 in seen else 0


def _spacing(median: SpacingMm, extent: SpacingMm, most: int) -> SpacingMm:
    """Coarsen the finest axes of the median spacing until a scan fits, rounded to a tenth of a millimetre."""
    spacing = list(median)
    while math.prod(length / each for length, each in zip(extent, spacing, strict=True)) > most:
        finest = min(spacing)
        spacing = [each * 1.05 if each <= finest * 1.05 else each for each in spacing]
    if spacing != list(median):
        spacing = [math.ceil(each * 10) / 10 for each in spacing]
    return spacing[0], spacing[1], spacing[2]


def _patch(extent: SpacingMm, spacing: SpacingMm, most: int, levels: int) -> Three:
    """Shape a patch like the median scan, no larger than it and than what fits; sides divide by every pooling."""
    step = 2 ** min(levels, 4)
    sides = [max(step, round(length / each)) for length, each in zip(extent, spacing, strict=True)]
    factor = min(1.0, (most / math.prod(sides)) ** (1 / 3))
    shaped = [max(step, math.floor(side * factor / step) * step) for side in sides]
    for axis in range(3):
        fuller = min(math.ceil(sides[axis] / step), shaped[axis] // step + 1) * step
        if math.prod(shaped) // shaped[axis] * fuller <= most:
            shaped[axis] = fuller
    return shaped[0], shaped[1], shaped[2]


def _window(prints: Sequence[Fingerprint]) -> tuple[float, float]:
    """Span the structures' HU, and soft tissue with them: what surrounds a structure tells where it ends."""
    low, high = foreground_range(prints)
    return round(min(low, 0.0)), round(max(high, SOFT_TISSUE_HU))
