"""What the training scans are like: sizes, spacings, intensities; all that planning looks at."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medaet.compute.trained.components import count
from medaet.compute.training.case import Labelled

SAMPLES = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """One case, summarised.

    Attributes:
        shape: Voxels along (slice, row, column).
        spacing_mm: Along the same axes.
        voxels: Count of each structure, background first.
        parts: Connected parts of each structure, without background; 0 where the scan lacks it.
        values: Up to 20,000 voxel values inside the structures, for percentiles.
        digest: SHA-256 of the voxels.
        labelled_by: "people", or the analysis that made the labels.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    voxels: tuple[int, ...]
    parts: tuple[int, ...]
    values: NDArray[np.float32]
    digest: str
    labelled_by: str


def fingerprint(one: Labelled, structures: int, *, seed: int) -> Fingerprint:
    """Summarise a case.

    Args:
        one: The case.
        structures: How many there are, without background.
        seed: Decides which voxels are sampled.
    """
    voxels = one.volume.voxels
    inside = np.flatnonzero(one.labels)
    if len(inside) > SAMPLES:
        inside = np.random.default_rng(seed).choice(inside, SAMPLES, replace=False)
    shape = voxels.shape
    return Fingerprint(
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=one.volume.spacing_mm,
        voxels=tuple(int(n) for n in np.bincount(one.labels.ravel(), minlength=structures + 1)),
        parts=tuple(count(one.labels == number) for number in range(1, structures + 1)),
        values=np.asarray(voxels.reshape(-1)[inside], dtype=np.float32),
        digest=hashlib.sha256(voxels.tobytes()).hexdigest(),
        labelled_by=one.labelled_by,
    )


def median_spacing(prints: Sequence[Fingerprint]) -> tuple[float, float, float]:
    """Return the median spacing of the cases along each axis, in mm."""
    first, second, third = np.median([one.spacing_mm for one in prints], axis=0)
    return float(first), float(second), float(third)


def median_extent_mm(prints: Sequence[Fingerprint]) -> tuple[float, float, float]:
    """Return the median length of the cases along each axis, in mm."""
    lengths = [np.multiply(one.shape, one.spacing_mm) for one in prints]
    first, second, third = np.median(lengths, axis=0)
    return float(first), float(second), float(third)


def foreground_range(prints: Sequence[Fingerprint]) -> tuple[float, float]:
    """Return the 0.5 and 99.5 percentiles of the voxel values inside the structures."""
    values = np.concatenate(
        [one.values for one in prints if len(one.values)] or [np.zeros(1, np.float32)]
    )
    low, high = np.percentile(values, (0.5, 99.5))
    return float(low), float(high)
