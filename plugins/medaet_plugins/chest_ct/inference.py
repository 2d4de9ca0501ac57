"""Lungs, left and right, on chest CT."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medaet.compute.parts import Parts
from medaet.dicom.volume import Volume

SMALLEST_LUNG_ML = 100.0
LARGEST_EROSION_MM = 12.0
COARSE_MM = 2.0
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
    left, right = np.zeros_like(mask), np.zeros_like(mask)
    box = _box(mask)
    if box is None:
        return left, right
    inside = mask[box]
    parts = _two_largest(inside, volume.voxel_ml)
    if len(parts) == 1:
        parts = _parted(inside, volume)
    if not parts:
        return left, right
    sides = [_mean_x(part, box, volume.affine) for part in parts]
    if len(parts) == 1:  # a single lung, or two that cannot be parted, goes where its middle lies
        middle = float((volume.affine @ np.array([(mask.shape[2] - 1) / 2, 0, 0, 1]))[0])
        parts, sides = [*parts, np.zeros_like(inside)], [*sides, middle]
    first_is_left = sides[0] > sides[1]  # LPS+: x grows to the patient's left
    left[box], right[box] = parts if first_is_left else parts[::-1]
    return left, right


def emphysema_percent(mask: NDArray[np.bool_], volume: Volume) -> float | None:
    """Share of the voxels below -950 HU, in percent; None for an empty mask."""
    values = np.asarray(volume.voxels)[mask].astype(np.float32)
    return (
        100 * float(np.count_nonzero(values < EMPHYSEMA_HU)) / values.size if values.size else None
    )


def cleaned(mask: NDArray[np.bool_], volume: Volume) -> NDArray[np.bool_]:
    """Keep what can be a lung, and fill what it encloses."""
    kept = np.zeros(mask.shape, dtype=np.bool_)
    box = _box(mask)
    if box is None:
        return kept
    parts = Parts(mask[box])
    lungs = _lungs_of(parts, volume.voxel_ml)
    if lungs:
        kept[box] = _filled(parts.mask(*lungs))
    return kept


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what cannot be reached from outside: every part of the background but the one at the border."""
    outside = Parts(np.pad(~mask, 1, constant_values=True))
    return ~outside.mask(outside.at(0, 0, 0))[1:-1, 1:-1, 1:-1]


def _lungs_of(parts: Parts, voxel_ml: float) -> list[int]:
    """Name the two largest parts, as far as they are large enough."""
    return [one for one in parts.largest(2) if parts.sizes[one] * voxel_ml > SMALLEST_LUNG_ML]


def _two_largest(mask: NDArray[np.bool_], voxel_ml: float) -> list[NDArray[np.bool_]]:
    parts = Parts(mask)
    return [parts.mask(one) for one in _lungs_of(parts, voxel_ml)]


def _parted(mask: NDArray[np.bool_], volume: Volume) -> list[NDArray[np.bool_]]:
    """Part lungs that touch: erode until there are two cores, then give each voxel to the nearer one.

    Distances are measured on every few voxels only; a border between lungs that touch is not known more finely.
    """
    steps = tuple(max(1, round(COARSE_MM / one)) for one in volume.spacing_mm)
    coarse = mask[tuple(slice(None, None, step) for step in steps)]
    spacing = tuple(one * step for one, step in zip(volume.spacing_mm, steps, strict=True))
    voxel_ml = volume.voxel_ml * float(np.prod(steps))
    depth = np.asarray(ndimage.distance_transform_edt(coarse, spacing))
    for erosion_mm in np.arange(2.0, LARGEST_EROSION_MM, 2.0):
        cores = _two_largest(depth > erosion_mm, voxel_ml)
        if len(cores) == 2:
            break
    else:
        return [mask]
    first, second = (np.asarray(ndimage.distance_transform_edt(~core, spacing)) for core in cores)
    nearer = first <= second
    for axis, step in enumerate(steps):
        nearer = nearer.repeat(step, axis)
    nearer = nearer[tuple(slice(0, length) for length in mask.shape)]
    return [mask & nearer, mask & ~nearer]


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """Return the smallest box around a mask; None around nothing."""
    hits = [np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    if not hits[0].size:
        return None
    first, second, third = (slice(int(hit[0]), int(hit[-1]) + 1) for hit in hits)
    return first, second, third


def _mean_x(
    mask: NDArray[np.bool_], box: tuple[slice, slice, slice], affine: NDArray[np.float64]
) -> float:
    """Mean x of a mask that lies in a box of the volume."""
    means = [
        float(np.average(np.arange(mask.shape[axis]), weights=mask.sum(axis=others)))
        for axis, others in ((0, (1, 2)), (1, (0, 2)), (2, (0, 1)))
    ]
    slices, rows, columns = (mean + one.start for mean, one in zip(means, box, strict=True))
    return float((affine @ np.array([columns, rows, slices, 1.0]))[0])
