"""The proof of a resampled series and of the view that blends it: read back, and looked up anew in the source.

It shares no code with the worker that resampled: the way from voxel to voxel is the one that the registration's file
says, and interpolation is plain arithmetic in double precision.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medaet.dicom.volume import Volume
from medaet.errors import ProofError
from medaet.results.original import (
    Original,
    parsed,
    prove_identity,
    refused_when_malformed,
    steps,
    vector,
)
from medaet.results.proof_of_registration import Points, Way, read_way

VALUE_TOLERANCE = 1.0
"""In stored values: rounding, and the single precision that the values were computed in."""

PLACE_TOLERANCE_MM = 1e-3
EDGE_VOXELS = 1e-3
"""So near to the edge of the source, single and double precision may see different sides of it."""

AIR_HU = -1000.0


def prove_resampled(
    paths: Sequence[Path],
    registration_path: Path,
    volumes: tuple[Volume, Volume],
    originals: tuple[Original, Original],
) -> list[dict[str, object]]:
    """Read the slices of a resampled series back, and compare each voxel with the source.

    Args:
        paths: The PS3.10 files as they will be sent, in slice order.
        registration_path: The registration as it will be sent.
        volumes: The fixed and the moving volume.
        originals: The headers of the fixed and the moving series.

    Returns:
        The figures of each slice: voxels compared, and the largest difference, in stored values.

    Raises:
        ProofError: saying what differs and where.
    """
    fixed, moving = volumes
    registration = parsed(registration_path, "FrameOfReferenceUID")
    if len(paths) != fixed.voxels.shape[0]:
        raise ProofError(f"{len(paths)} slices were made of a grid of {fixed.voxels.shape[0]}")
    with refused_when_malformed():
        source = _Source(moving, read_way(registration, originals[1]))
        return [
            _prove_slice(path, number, fixed, source, originals, registration)
            for number, path in enumerate(paths)
        ]


def prove_view(
    path: Path, fixed: Original, below: Sequence[str], over: Sequence[str]
) -> dict[str, object]:
    """Read a blended view back: it names what lies below and what lies over it, and nothing else.

    Raises:
        ProofError: saying what differs.
    """
    dataset = parsed(path, "AdvancedBlendingSequence")
    with refused_when_malformed():
        prove_identity(dataset, fixed)
        layers = [
            {
                str(image.ReferencedSOPInstanceUID)
                for series in item.ReferencedImageSequence
                for image in [series]
            }
            for item in dataset.AdvancedBlendingSequence
        ]
    if layers != [set(below), set(over)]:
        raise ProofError("the blended view does not name the images that it is of")
    return {"images": len(below) + len(over)}


class _Source:
    """The moving volume, looked up from the fixed frame of reference."""

    def __init__(self, volume: Volume, way: Way) -> None:
        self._way = way
        self._inverse = np.linalg.inv(volume.affine)
        measured = volume.measured()
        dark = AIR_HU if volume.modality == "CT" else float(volume.voxels[measured].min())
        self.outside = dark
        self._values = np.where(measured, volume.voxels, dark).astype(np.float64)
        self._size = np.array(volume.voxels.shape[::-1])

    def at(self, points: Points) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Interpolate at points (N, 3), mm: values, and where they are certain."""
        there = self._way.to_moving(points)
        place = there @ self._inverse[:3, :3].T + self._inverse[:3, 3]
        inside = ((place >= -0.5) & (place <= self._size - 0.5)).all(axis=1)
        near = np.minimum(np.abs(place + 0.5), np.abs(place - self._size + 0.5)).min(axis=1)
        clipped = np.clip(place, 0, self._size - 1)
        corner = np.minimum(np.floor(clipped).astype(int), np.maximum(self._size - 2, 0))
        part = clipped - corner
        total = np.zeros(len(points))
        for step in np.ndindex(2, 2, 2):
            column, row, slices = np.minimum(corner + step, self._size - 1).T
            weight = np.prod(np.where(step, part, 1 - part), axis=1)
            total += weight * self._values[slices, row, column]
        return np.where(inside, total, self.outside), near > EDGE_VOXELS


def _prove_slice(
    path: Path,
    number: int,
    fixed: Volume,
    source: _Source,
    originals: tuple[Original, Original],
    registration: Dataset,
) -> dict[str, object]:
    dataset = parsed(path, "PixelData")
    prove_identity(dataset, originals[0])
    if dataset.FrameOfReferenceUID != registration.FrameOfReferenceUID:
        raise ProofError(f"slice {number + 1} is in another frame of reference than its grid")
    sources = {str(item.ReferencedSOPInstanceUID) for item in dataset.SourceImageSequence}
    if sources != set(originals[1].sop_class_uids):
        raise ProofError(f"slice {number + 1} does not name the images that it was made of")
    points = _voxels(dataset)
    wanted = fixed.affine @ [0, 0, number, 1]
    if np.abs(points[0] - wanted[:3]).max() > PLACE_TOLERANCE_MM:
        raise ProofError(f"slice {number + 1} does not lie on the grid that it was made for")
    slope = float(dataset.get("RescaleSlope", 1))
    found = np.frombuffer(dataset.PixelData, "<i2").astype(np.float64)
    values, certain = source.at(points)
    away = np.abs(found - (values - float(dataset.get("RescaleIntercept", 0))) / slope)[certain]
    worst = float(away.max(initial=0.0))
    if worst > VALUE_TOLERANCE:
        count = int((away > VALUE_TOLERANCE).sum())
        raise ProofError(
            f"slice {number + 1} of the resampled series: {count} voxels are not what the source "
            f"has there, by up to {worst:.1f}"
        )
    return {"voxels_compared": int(certain.sum()), "largest_difference": round(worst, 3)}


def _voxels(dataset: Dataset) -> Points:
    """Return the voxel centres of a slice, row by row: (N, 3), mm."""
    along_columns, along_rows = steps(dataset.ImageOrientationPatient, dataset.PixelSpacing)
    rows, columns = np.indices((int(dataset.Rows), int(dataset.Columns))).reshape(2, -1)
    origin = vector(dataset.ImagePositionPatient)
    return np.asarray(origin + columns[:, None] * along_columns + rows[:, None] * along_rows)
