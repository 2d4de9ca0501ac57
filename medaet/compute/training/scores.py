"""Agreement of masks, structure by structure, by MONAI's metrics."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice
from monai.metrics.surface_dice import compute_surface_dice
from numpy.typing import NDArray

from medaet.compute.trained.plan import SpacingMm

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Score:
    """One structure of one case; NaN where a figure does not exist, as a distance from nothing.

    Attributes:
        dice: 1 when both masks are empty.
        surface_dice: Share of both surfaces within `tolerance_mm` of each other.
        hd95_mm: 95th percentile of the distances between the surfaces.
        volume_ml: Of the truth.
        found_ml: Of the prediction.
    """

    dice: float
    surface_dice: float
    hd95_mm: float
    volume_ml: float
    found_ml: float

    @property
    def bias_percent(self) -> float:
        """How much too large the prediction is, in percent of the truth."""
        return 100 * (self.found_ml / self.volume_ml - 1) if self.volume_ml else math.nan


def dice(found: NDArray[np.uint8], truth: NDArray[np.uint8], structures: int) -> list[float]:
    """Return the Dice of each structure; NaN where the truth lacks it."""
    one, two = (
        torch.stack([torch.from_numpy(labels == number) for number in range(1, structures + 1)])[
            None
        ]
        for labels in (found, truth)
    )
    values = compute_dice(one.float(), two.float(), include_background=True)
    return [float(value) for value in values[0]]


def score(found: Mask, truth: Mask, spacing_mm: SpacingMm, tolerance_mm: float) -> Score:
    """Compare two masks on one grid, (slice, row, column)."""
    voxel_ml = math.prod(spacing_mm) / 1000
    volumes = (float(truth.sum()) * voxel_ml, float(found.sum()) * voxel_ml)
    if not found.any() or not truth.any():
        same = 1.0 if not found.any() and not truth.any() else 0.0
        return Score(same, same, 0.0 if same else math.nan, *volumes)
    box = _box(found | truth)
    one, two = (
        torch.from_numpy(np.ascontiguousarray(mask[box]))[None, None].float()
        for mask in (found, truth)
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # MONAI 1.6 warns of an argument it passes to itself
        surface = compute_surface_dice(
            one, two, [tolerance_mm], include_background=True, spacing=spacing_mm
        )
        hd95 = compute_hausdorff_distance(
            one, two, include_background=True, percentile=95, spacing=spacing_mm
        )
    overlap = compute_dice(one, two, include_background=True)
    return Score(float(overlap), float(surface), float(hd95), *volumes)


def _box(mask: Mask) -> tuple[slice, ...]:
    """Return the box around a mask with a voxel to spare, where there is one."""
    found = []
    for axis in range(3):
        others = tuple(one for one in range(3) if one != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        found.append(slice(max(0, int(hit[0]) - 1), int(hit[-1]) + 2))
    return tuple(found)
