"""Lungs by thresholds and morphology alone: the teacher of the network, and the reference it is tested against."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medaet.dicom.volume import Volume

AIR_HU = -400.0
BODY_HU = -300.0
AIRWAY_HU = -850.0
AIRWAY_WALL_HU = -500.0
AIRWAY_MM2 = (60.0, 700.0)
MIDLINE_MM = 35.0
FEWEST_SLICES = 5
SMALLEST_LUNG_ML = 150.0
LARGEST_LUNGS = 2
CLOSING_MM = 6.0
LARGEST_HOLE_MM2 = 400.0
"""Vessels and nodules are filled; the heart between two lungs that touch, and the diaphragm's dome, are not."""


def classical_lungs(volume: Volume) -> NDArray[np.bool_]:
    """Mask the lungs on a chest CT, with their vessels and without the trachea.

    Args:
        volume: HU; axes (slice, row, column), axial, slices from feet to head.

    Returns:
        On the volume's grid.
    """
    voxels = np.asarray(volume.voxels, dtype=np.float32)
    body = _body(voxels)
    air = (voxels < AIR_HU) & body & ~_airway(voxels, body, volume)
    for plane in air:  # the slices' own openings cut off smaller airways and the gut
        plane[:] = ndimage.binary_opening(plane, iterations=2)
    labels, count = ndimage.label(air)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * volume.voxel_ml
    sizes[0] = 0
    largest = np.argsort(sizes)[::-1][:LARGEST_LUNGS]
    lungs = [one for one in largest if sizes[one] > SMALLEST_LUNG_ML]
    return _closed(np.isin(labels, lungs), volume.spacing_mm)


def classical_airway(volume: Volume) -> NDArray[np.bool_]:
    """Mask the trachea on a chest CT, from its uppermost slice to the main bronchi.

    Args:
        volume: As for `classical_lungs`.
    """
    voxels = np.asarray(volume.voxels, dtype=np.float32)
    body = _body(voxels)
    return _airway(voxels, body, volume) & (voxels < AIRWAY_WALL_HU)


def _airway(
    voxels: NDArray[np.float32], body: NDArray[np.bool_], volume: Volume
) -> NDArray[np.bool_]:
    return _trachea((voxels < AIRWAY_HU) & body, body, volume.spacing_mm)


def _body(voxels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Fill the body slice by slice: the largest solid part, and all that it encloses."""
    inside = np.zeros(voxels.shape, dtype=np.bool_)
    for plane, filled in zip(voxels, inside, strict=True):
        solid = ndimage.binary_opening(plane > BODY_HU, iterations=2)
        labels, count = ndimage.label(solid)
        if count:
            largest = np.bincount(labels.ravel())[1:].argmax() + 1
            filled[:] = ndimage.binary_fill_holes(labels == largest)
    return inside


def _trachea(
    air: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Follow the trachea from the uppermost slice that shows it down to where it divides."""
    mm2 = spacing_mm[1] * spacing_mm[2]
    track: dict[int, NDArray[np.bool_]] = {}
    for number in range(air.shape[0] - 1, -1, -1):
        labels, count = ndimage.label(ndimage.binary_opening(air[number]))
        sizes = np.bincount(labels.ravel(), minlength=count + 1) * mm2
        parts = [one for one in range(1, count + 1) if AIRWAY_MM2[0] < sizes[one] < AIRWAY_MM2[1]]
        above = track.get(number + 1)
        if above is None:
            parts = _nearest(labels, parts, body[number], MIDLINE_MM / spacing_mm[2])
        else:
            parts = [one for one in parts if (above & (labels == one)).any()]
        if parts:
            track[number] = np.isin(labels, parts)
        elif len(track) >= FEWEST_SLICES:
            break
        else:  # it was something else
            track.clear()
    found = np.zeros_like(air)
    for number, plane in track.items():
        found[number] = ndimage.binary_dilation(plane, iterations=3)
    return found


def _nearest(
    labels: NDArray[np.int32], parts: list[int], body: NDArray[np.bool_], most: float
) -> list[int]:
    """Choose the part nearest to the body's midline, if one is near enough; distances in columns."""
    if not parts or not body.any():
        return []
    middle = float(np.nonzero(body)[1].mean())
    away = {one: abs(float(np.nonzero(labels == one)[1].mean()) - middle) for one in parts}
    best = min(parts, key=lambda one: away[one])
    return [best] if away[best] <= most else []


def _closed(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Close vessels and nodules at the border and fill small holes, slice by slice."""
    steps = max(1, round(CLOSING_MM / spacing_mm[1]))
    most = LARGEST_HOLE_MM2 / (spacing_mm[1] * spacing_mm[2])
    closed = np.zeros_like(mask)
    for plane, target in zip(mask, closed, strict=True):
        padded = np.pad(plane, steps)
        grown = np.asarray(ndimage.distance_transform_edt(~padded)) <= steps
        shrunk = np.asarray(ndimage.distance_transform_edt(grown)) > steps
        solid = (shrunk | padded)[steps:-steps, steps:-steps]
        holes, count = ndimage.label(np.asarray(ndimage.binary_fill_holes(solid)) & ~solid)
        sizes = np.bincount(holes.ravel(), minlength=count + 1)
        small = [one for one in range(1, count + 1) if sizes[one] <= most]
        target[:] = solid | np.isin(holes, small)
    return closed
