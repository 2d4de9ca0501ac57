"""Phantoms that look a little like a patient, in every geometry that scanners send, and values that no patient has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.volume import read_volume
from medaet.plugin.selector import SeriesSelector
from medaet.testing.drawing import write_segmentation
from medaet.testing.phantom import AXIAL, CORONAL, SAGITTAL, write_series

OBLIQUE = (0.96, 0.0, -0.28, 0.0784, 0.96, 0.2688)


@dataclass(frozen=True, slots=True)
class Body:
    """A geometry.

    Attributes:
        orientation: Image Orientation (Patient).
        spacing_mm: Between slices, rows and columns.
        shape: (slices, rows, columns); a selector that asks for more slices gets them.
    """

    orientation: Sequence[float] = AXIAL
    spacing_mm: tuple[float, float, float] = (4.0, 3.0, 3.0)
    shape: tuple[int, int, int] = (32, 80, 72)


GEOMETRIES = {
    "axial": Body(),
    "coronal": Body(orientation=CORONAL),
    "sagittal": Body(orientation=SAGITTAL),
    "oblique": Body(orientation=OBLIQUE),
    "thin-slice": Body(spacing_mm=(1.0, 3.0, 3.0), shape=(60, 64, 64)),
    "thick-slice": Body(spacing_mm=(10.0, 2.5, 2.5), shape=(12, 64, 64)),
}


def write_body(folder: Path, selector: SeriesSelector, body: Body, *, seed: int = 0) -> list[Path]:
    """Write a series that a selector takes: an ellipsoid of soft tissue with two of air in it, on air."""
    slices = max(body.shape[0], selector.min_slices)
    if selector.max_slices:
        slices = min(slices, selector.max_slices)
    part = selector.body_part[0] if selector.body_part else ""
    modality = first_modality(selector)
    return write_series(
        folder,
        modality=modality,
        voxels=body_voxels((slices, *body.shape[1:]), modality, seed),
        spacing_mm=body.spacing_mm,
        orientation=body.orientation,
        body_part=part,
        seed=seed,
    )


def write_drawing(path: Path, images: list[Path]) -> Path:
    """Write a Segmentation of the brightest voxels of a series."""
    voxels = read_volume(images).voxels
    return write_segmentation(path, images, {"Bright": voxels > np.percentile(voxels, 90)})


def first_modality(selector: SeriesSelector) -> str:
    """Return the modality that a selector takes, or the first of them."""
    return selector.modality if isinstance(selector.modality, str) else selector.modality[0]


def body_voxels(shape: tuple[int, int, int], modality: str, seed: int = 0) -> NDArray[np.int16]:
    """Return voxels (slice, row, column): HU on CT, arbitrary units above zero on MR."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij")
    body = (z / 1.2) ** 2 + y**2 + (x / 0.9) ** 2 < 0.8
    holes = [z**2 + (y / 0.8) ** 2 + ((x - side) / 0.5) ** 2 < 0.3 for side in (-0.4, 0.4)]
    air, tissue, lung = (-1000.0, 40.0, -850.0) if modality == "CT" else (0.0, 400.0, 80.0)
    values = np.where(body, tissue, air)
    values = np.where(body & (holes[0] | holes[1]), lung, values)
    noise = np.random.default_rng(seed).normal(0, 15, shape)
    values = values + noise if modality == "CT" else np.where(body, values + noise, 0).clip(min=0)
    return np.rint(values).astype(np.int16)


def odd_bodies() -> dict[str, Callable[[tuple[int, ...]], NDArray[Any]]]:
    """Return makers of voxels that are constant, extreme, or fractional, by name."""

    def alternating(shape: tuple[int, ...]) -> NDArray[Any]:
        extremes = np.array([-32768, 32767], np.int16)
        return np.resize(extremes, shape)

    return {
        "constant zero": lambda shape: np.zeros(shape, np.int16),
        "extreme": alternating,
        "fractional": lambda shape: np.linspace(
            0, 1, int(np.prod(shape)), dtype=np.float32
        ).reshape(shape),
    }
