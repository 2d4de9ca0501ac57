"""Preprocessed cases as memory-mapped files: read, turned, resampled and normalised once, whatever comes after.

A case's folder is named by a hash of everything that decides its content, so a changed plan, label or file makes
another folder, and a folder is whole when it exists: it is renamed into place.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medaet.compute.resample import Grid, resample
from medaet.compute.trained.intensity import Intensity
from medaet.compute.trained.plan import Plan, SpacingMm, Three
from medaet.compute.training.case import DIGITS, Labelled
from medaet.compute.training.tissue import parted

FORMAT = 2
"""Grows when the same case would be preprocessed otherwise."""

MOST_PLACES = 8192
"""Of each structure, at which patches may be centred."""


@dataclass(frozen=True, slots=True, eq=False)
class Cached:
    """One preprocessed case.

    Attributes:
        image: float16 (slice, row, column), normalised, mapped from a file; at least as large as a patch.
        labels: uint8, same shape.
        tissue: uint8, same shape: structures and background parted by intensity; None without synthesis.
        places: For each structure, (n, 3) voxel indices inside it; empty where a case lacks it.
    """

    name: str
    image: NDArray[np.float16]
    labels: NDArray[np.uint8]
    tissue: NDArray[np.uint8] | None
    places: tuple[NDArray[np.int32], ...]

    @property
    def shape(self) -> Three:
        """Voxels along each axis."""
        return self.image.shape[0], self.image.shape[1], self.image.shape[2]


def key(plan: Plan, digest: str, labels: NDArray[np.uint8], background: int) -> str:
    """Hash everything that decides what a cached case holds."""
    content = [
        FORMAT,
        plan.spacing_mm,
        plan.patch,
        plan.intensity,
        plan.structures,
        digest,
        background,
    ]
    hashing = hashlib.sha256(json.dumps(content).encode())
    hashing.update(labels.tobytes())
    return hashing.hexdigest()[:DIGITS]


def write(folder: Path, one: Labelled, plan: Plan, *, background: int, seed: int) -> None:
    """Preprocess a case into a folder that appears when it is whole.

    Args:
        folder: To be made.
        one: The case.
        plan: Grid, intensities and patch.
        background: Parts of the background for synthesis; 0 for none.
        seed: Decides which places inside large structures are kept.
    """
    if folder.exists():
        return
    image, labels = on_grid(one, plan)
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    np.save(part / "image.npy", image.astype(np.float16))
    np.save(part / "labels.npy", labels)
    if background:
        np.save(part / "tissue.npy", parted(image, labels, background, structures=plan.classes - 1))
    for number in range(1, plan.classes):
        np.save(part / f"places-{number}.npy", _places(labels == number, seed))
    if not folder.exists():
        part.rename(folder)
    shutil.rmtree(part, ignore_errors=True)


def read(folder: Path, name: str, structures: int) -> Cached:
    """Map a case into memory, read-only."""
    tissue = folder / "tissue.npy"
    return Cached(
        name=name,
        image=np.load(folder / "image.npy", mmap_mode="r"),
        labels=np.load(folder / "labels.npy", mmap_mode="r"),
        tissue=np.load(tissue, mmap_mode="r") if tissue.exists() else None,
        places=tuple(
            np.load(folder / f"places-{number}.npy") for number in range(1, structures + 1)
        ),
    )


def on_grid(one: Labelled, plan: Plan) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Bring image and labels to the planned grid, padded with zeros to a patch as inference does.

    Returns:
        The normalised image and the labels, (slice, row, column).
    """
    voxels = torch.from_numpy(np.asarray(one.volume.voxels, dtype=np.float32))[None]
    grid = Grid.of_spacing(one.labels.shape, one.volume.spacing_mm, plan.spacing_mm)
    image = resample(Intensity(plan.intensity)(voxels), grid)[0].numpy()
    labels = resampled_labels(one.labels, grid, plan.classes)
    lacking = [max(0, side - size) for side, size in zip(plan.patch, grid.shape, strict=True)]
    padding = [(gap // 2, gap - gap // 2) for gap in lacking]
    return np.pad(image, padding), np.pad(labels, padding)


def resampled_labels(labels: NDArray[np.uint8], grid: Grid, classes: int) -> NDArray[np.uint8]:
    """Resample labels by the class with the largest share of each voxel, which keeps borders where they are."""
    source = torch.from_numpy(np.ascontiguousarray(labels))[None]
    best = torch.full((1, *grid.shape), 1e-6)
    found = torch.zeros((1, *grid.shape), dtype=torch.uint8)
    background = resample((source == 0).float(), grid)
    best = torch.maximum(best, background)
    for number in range(1, classes):
        share = resample((source == number).float(), grid)
        wins = share > best
        found[wins] = number
        best = torch.where(wins, share, best)
    return found[0].numpy()


def spacing_of(one: Labelled, plan: Plan) -> SpacingMm:
    """Return the spacing of the grid that `on_grid` makes, which meets the planned one to within half a voxel."""
    shape = Grid.of_spacing(one.labels.shape, one.volume.spacing_mm, plan.spacing_mm).shape
    first, second, third = (
        count * spacing / wanted
        for count, spacing, wanted in zip(
            one.labels.shape, one.volume.spacing_mm, shape, strict=True
        )
    )
    return first, second, third


def _places(mask: NDArray[np.bool_], seed: int) -> NDArray[np.int32]:
    places = np.argwhere(mask)
    if len(places) > MOST_PLACES:
        kept = np.sort(np.random.default_rng(seed).choice(len(places), MOST_PLACES, replace=False))
        places = places[kept]
    return places.astype(np.int32)
