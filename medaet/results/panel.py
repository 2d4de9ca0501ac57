"""The cuts that a preview shows: which planes, in which grey window, and which way up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.volume import Volume
from medaet.plugin.segment import Segment

SLICES = 4
SAMPLED_SLICES = 16
LUNG_WINDOW_HU = (-1350.0, 150.0)
SOFT_TISSUE_WINDOW_HU = (-160.0, 240.0)
MR_PERCENTILES = (1.0, 99.5)
AIR_HU = -300.0
_LETTERS = ("LR", "PA", "HF")
_PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One cut, the way it is shown.

    Attributes:
        pixels: (row, column), values of the volume.
        masks: (row, column) of each segment, by label.
        spacing_mm: Distance between rows, then between columns, in mm.
        caption: The plane, and where it lies.
        edges: Where the left and the upper edge point to: R, L, A, P, H or F.
    """

    pixels: NDArray[np.float32]
    masks: dict[str, NDArray[np.bool_]]
    spacing_mm: tuple[float, float]
    caption: str
    edges: tuple[str, str]


def grey_window(volume: Volume, segments: Sequence[Segment]) -> tuple[float, float]:
    """Return the values shown black and white: HU on CT, percentiles on MR.

    On CT the lung window is taken when what was found is mostly air.
    """
    if volume.modality != "CT":
        sample = volume.voxels[:: max(1, volume.voxels.shape[0] // 32), ::2, ::2]
        measured = sample[volume.measured(sample)]
        low, high = np.percentile(measured if measured.size else sample, MR_PERCENTILES)
        return float(low), float(max(high, low + 1))
    return LUNG_WINDOW_HU if _mean(volume, segments) < AIR_HU else SOFT_TISSUE_WINDOW_HU


def _mean(volume: Volume, segments: Sequence[Segment]) -> float:
    """Return about the mean value of what was found, from an even sample of its slices; 0 of nothing."""
    count, total = 0, 0.0
    for segment in segments:
        places = np.flatnonzero(segment.voxels.counts)
        for place in places[:: max(1, len(places) // SAMPLED_SLICES)].tolist():
            values = volume.voxels[place][segment.voxels.plane(place)]
            count, total = count + values.size, total + float(values.sum(dtype=np.float64))
    return total / max(count, 1)


def panels(volume: Volume, segments: Sequence[Segment]) -> list[Panel]:
    """Return slices spread over what was found, then the two reformats that show most of it.

    Args:
        volume: The grid.
        segments: Segments on that grid; without any, the cuts are spread over the whole volume.
    """
    weights = _weights(volume.voxels.shape, segments)
    slices = [_slice(volume, segments, number) for number in _spread(weights[0])]
    row, column = (int(np.argmax(each)) if each.any() else each.size // 2 for each in weights[1:])
    return [*slices, _along_columns(volume, segments, row), _along_rows(volume, segments, column)]


def _weights(
    shape: tuple[int, ...], segments: Sequence[Segment]
) -> tuple[NDArray[np.float64], ...]:
    """Count, along each axis, the voxels of any segment."""
    slices, rows, columns = (np.zeros(length) for length in shape)
    for number in range(len(slices)):
        planes = [one.voxels.plane(number) for one in segments if one.voxels.counts[number]]
        if planes:
            joined = np.logical_or.reduce(planes)
            slices[number] = np.count_nonzero(joined)
            rows += joined.sum(axis=1)
            columns += joined.sum(axis=0)
    return slices, rows, columns


def _spread(weights: NDArray[np.float64], count: int = SLICES) -> list[int]:
    """Return indices that part the weight evenly, each once, in order."""
    if not weights.any():
        weights = np.ones_like(weights)
    shares = np.cumsum(weights) / weights.sum()
    marks = (np.arange(count) + 0.5) / count
    return sorted({int(np.searchsorted(shares, mark)) for mark in marks})


def _slice(volume: Volume, segments: Sequence[Segment], number: int) -> Panel:
    _, between_rows, between_columns = volume.spacing_mm
    return Panel(
        pixels=volume.voxels[number].astype(np.float32),
        masks={segment.label: segment.voxels.plane(number) for segment in segments},
        spacing_mm=(between_rows, between_columns),
        caption=f"{_plane(volume.affine[:3, 2])}, slice {number + 1} of {volume.voxels.shape[0]}",
        edges=(_letter(-volume.affine[:3, 0]), _letter(-volume.affine[:3, 1])),
    )


def _along_columns(volume: Volume, segments: Sequence[Segment], row: int) -> Panel:
    """Cut across all slices along one row, the end of the slices' normal up."""
    between_slices, _, between_columns = volume.spacing_mm
    return Panel(
        pixels=volume.voxels[::-1, row].astype(np.float32),
        masks={segment.label: segment.voxels.across(1, row)[::-1] for segment in segments},
        spacing_mm=(between_slices, between_columns),
        caption=f"{_plane(volume.affine[:3, 1])}, reformatted",
        edges=(_letter(-volume.affine[:3, 0]), _letter(volume.affine[:3, 2])),
    )


def _along_rows(volume: Volume, segments: Sequence[Segment], column: int) -> Panel:
    """Cut across all slices down one column, the end of the slices' normal up."""
    between_slices, between_rows, _ = volume.spacing_mm
    return Panel(
        pixels=volume.voxels[::-1, :, column].astype(np.float32),
        masks={segment.label: segment.voxels.across(2, column)[::-1] for segment in segments},
        spacing_mm=(between_slices, between_rows),
        caption=f"{_plane(volume.affine[:3, 0])}, reformatted",
        edges=(_letter(-volume.affine[:3, 1]), _letter(volume.affine[:3, 2])),
    )


def _plane(normal: NDArray[np.float64]) -> str:
    return _PLANES[int(np.argmax(np.abs(normal)))]


def _letter(direction: NDArray[np.float64]) -> str:
    """Return the patient's side that a direction in LPS+ points to."""
    axis = int(np.argmax(np.abs(direction)))
    return _LETTERS[axis][0 if direction[axis] > 0 else 1]
