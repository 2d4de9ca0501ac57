"""Pairs of images of one head with an exactly known motion between them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medaet.dicom.volume import Volume, read_volume
from medaet.testing.ct_like import ct_like

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class View:
    """How an image of the head is made.

    Attributes:
        modality: "MR" for the T1 itself, "CT" for the CT-like image made from it.
        spacing_mm: Between slices, rows and columns.
        crop: Shares of the slices, rows and columns that are cut away, at the beginning and at the end.
        noise: Standard deviation, as a share of the 98th percentile (MR), or in units of 100 HU (CT).
        bias: Largest logarithm of the bias field (MR).
    """

    modality: str = "MR"
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    crop: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    noise: float = 0.03
    bias: float = 0.4


class Head:
    """A whole-head T1 at 1 mm, and what other scanners would make of it."""

    def __init__(self, folder: Path) -> None:
        self.t1 = read_volume(sorted(folder.glob("*.dcm")))
        self.ct = Volume(ct_like(self.t1), self.t1.affine, "CT")

    def seen(self, view: View, seed: int) -> Volume:
        """Return the head as a view shows it, where it lies in the T1."""
        source = self.ct if view.modality == "CT" else self.t1
        rng = np.random.default_rng(seed)
        voxels, affine = _on(source, view.spacing_mm)
        cut = [
            slice(round(length * start), round(length * (1 - end)))
            for length, (start, end) in zip(voxels.shape, view.crop, strict=True)
        ]
        voxels = voxels[tuple(cut)].copy()
        affine[:3, 3] += affine[:3, :3] @ [one.start for one in reversed(cut)]
        scale = 100.0
        if view.modality == "MR":
            scale = float(np.percentile(voxels, 98))
            voxels *= _bias(voxels.shape, view.bias, rng)
        voxels += rng.normal(0, view.noise * scale, voxels.shape).astype(np.float32)
        return Volume(voxels.astype(np.float32), affine, view.modality)

    def errors_mm(self, found: Matrix, true: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distances between where two matrices (4, 4) put points of the head, in mm."""
        slices, rows, columns = np.nonzero(self.t1.voxels[::12, ::12, ::12] > 30)
        index = np.stack((columns, rows, slices), 1) * 12
        points = index @ self.t1.affine[:3, :3].T + self.t1.affine[:3, 3]
        difference = found - true
        away = points @ difference[:3, :3].T + difference[:3, 3]
        return np.asarray(np.linalg.norm(away, axis=1))

    @property
    def centre(self) -> NDArray[np.float64]:
        """Middle of the T1, mm."""
        middle = (np.array(self.t1.voxels.shape[::-1]) - 1) / 2
        return np.asarray(self.t1.affine[:3, :3] @ middle + self.t1.affine[:3, 3])


def motion(
    rng: np.random.Generator,
    centre: NDArray[np.float64],
    *,
    degrees: float = 30.0,
    shift_mm: float = 40.0,
    stretch: float = 0.0,
) -> Matrix:
    """Draw a turn about the centre, a shift, and a stretch and shear of at most `stretch`: (4, 4)."""
    axis, way = (one / np.linalg.norm(one) for one in rng.normal(size=(2, 3)))
    angle = np.deg2rad(rng.uniform(0, degrees))
    cross = np.cross(np.eye(3), axis)
    turn = np.eye(3) - np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ (np.eye(3) + rng.uniform(-stretch, stretch, (3, 3)))
    matrix[:3, 3] = centre + way * rng.uniform(0, shift_mm) - matrix[:3, :3] @ centre
    return matrix


def moved(volume: Volume, matrix: Matrix) -> Volume:
    """Lay a volume somewhere else in its frame of reference; its voxels stay the same."""
    return Volume(volume.voxels, matrix @ volume.affine, volume.modality)


def _on(
    volume: Volume, spacing_mm: tuple[float, float, float]
) -> tuple[NDArray[np.float32], Matrix]:
    """Interpolate with cubic splines, so that registration meets no lattice of linear interpolation."""
    voxels = np.asarray(volume.voxels, dtype=np.float32)
    ratio = np.array(spacing_mm) / volume.spacing_mm
    if np.allclose(ratio, 1):
        return voxels, volume.affine.copy()
    shape = np.floor((np.array(voxels.shape) - 1) / ratio).astype(int) + 1
    affine = volume.affine.copy()
    affine[:3, :3] *= ratio[::-1]
    sharp = ndimage.gaussian_filter(voxels, np.where(ratio > 1.5, ratio / 2.5, 0))
    found = ndimage.affine_transform(sharp, ratio, output_shape=tuple(shape), order=3)
    return found.astype(np.float32), affine


def _bias(shape: tuple[int, ...], largest: float, rng: np.random.Generator) -> NDArray[np.float32]:
    knots = rng.uniform(-1, 1, (3, 3, 3))
    zoom = [length / 3 for length in shape]
    field = ndimage.zoom(knots / np.abs(knots).max(), zoom, order=3, mode="nearest", grid_mode=True)
    return np.asarray(np.exp(largest * field), dtype=np.float32)
