"""Lungs, left and right, on chest CT."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medaet.dicom.volume import Volume

SMALLEST_LUNG_ML = 100.0
LARGEST_EROSION_MM = 12.0
EMPHYSEMA_HU = -950


def left_and_right(
    mask: NDArray[np.bool_], volume: Volume
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Separate the lungs by connected components; where they touch, after eroding until they do not.

    Args:
        mask: Both lungs, (slice, row, column).
        volume: The grid they lie on.

    Returns:
        The patient's left and right lung; one of them is empty when only one was found.
    """
    distance = np.asarray(ndimage.distance_transform_edt(mask, volume.spacing_mm))
    for erosion_mm in np.arange(0.0, LARGEST_EROSION_MM, 2.0):
        cores = _two_largest(distance > erosion_mm, volume.voxel_ml)
        if len(cores) == 2:
            break
    if not cores:
        return np.zeros_like(mask), np.zeros_like(mask)
    if len(cores) == 1:
        return _by_side(cores[0], mask, volume)
    parts = _shared_out(mask, cores, volume.spacing_mm)
    sides = sorted(parts, key=lambda part: _mean_x(part, volume.affine))
    return sides[1], sides[0]  # LPS+: x grows to the patient's left


def emphysema_percent(mask: NDArray[np.bool_], volume: Volume) -> float | None:
    """Share of the voxels below -950 HU, in percent; None for an empty mask."""
    values = np.asarray(volume.voxels)[mask].astype(np.float32)
    return (
        100 * float(np.count_nonzero(values < EMPHYSEMA_HU)) / values.size if values.size else None
    )


def cleaned(mask: NDArray[np.bool_], volume: Volume) -> NDArray[np.bool_]:
    """Keep what can be a lung, and fill what it encloses."""
    return np.asarray(
        ndimage.binary_fill_holes(
            np.logical_or.reduce(
                [np.zeros(mask.shape, dtype=np.bool_), *_two_largest(mask, volume.voxel_ml)]
            )
        ),
        dtype=np.bool_,
    )


def _two_largest(mask: NDArray[np.bool_], voxel_ml: float) -> list[NDArray[np.bool_]]:
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * voxel_ml
    sizes[0] = 0
    return [labels == one for one in np.argsort(sizes)[::-1][:2] if sizes[one] > SMALLEST_LUNG_ML]


def _shared_out(
    mask: NDArray[np.bool_],
    cores: list[NDArray[np.bool_]],
    spacing_mm: tuple[float, float, float],
) -> list[NDArray[np.bool_]]:
    """Give each voxel of the mask to the nearer core."""
    first, second = (
        np.asarray(ndimage.distance_transform_edt(~core, spacing_mm)) for core in cores
    )
    return [mask & (first <= second), mask & (first > second)]


def _by_side(
    core: NDArray[np.bool_], mask: NDArray[np.bool_], volume: Volume
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Put a single lung, or two that cannot be parted, on the side of the image where its middle lies."""
    middle = volume.affine @ np.array([(mask.shape[2] - 1) / 2, 0, 0, 1])
    empty = np.zeros_like(mask)
    return (core, empty) if _mean_x(core, volume.affine) > middle[0] else (empty, core)


def _mean_x(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> float:
    slices, rows, columns = (float(np.mean(index)) for index in np.nonzero(mask))
    return float((affine @ np.array([columns, rows, slices, 1.0]))[0])
