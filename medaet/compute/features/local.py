"""Local intensity: the brightest sphere of 1 cm3 in a region.

A sphere is a bundle of lines along the columns, and the sum over a line is the difference of two running sums, so that
a voxel costs as many additions as the sphere has lines, not as it has voxels.

Source:
    IBSI reference manual, Local intensity features (9ST6).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from math import floor

import torch

from medaet.compute.features.region import PEAK_RADIUS_MM, Region, bounding_box
from medaet.compute.features.statistics import Numbers

SLAB_VOXELS = 1 << 21

Lines = Mapping[int, list[tuple[int, int]]]
"""By how many columns a line reaches to each side: the slices and rows from the centre where such lines lie."""


def local_intensity(region: Region) -> Numbers:
    """Measure the mean of the sphere around the brightest voxel, and of the brightest sphere.

    Args:
        region: Not empty, with a margin of the sphere's radius as far as the image goes.
    """
    values = region.inside
    peaks = torch.cat(list(_peaks(region)))
    return {
        "loc_peak_loc": float(peaks[values == values.max()].max()),
        "loc_peak_glob": float(peaks.max()),
    }


def _peaks(region: Region) -> Iterator[torch.Tensor]:
    """Yield the mean of the sphere around each voxel of the intensity mask, slab by slab."""
    box = bounding_box(region.mask)
    assert box is not None
    lines = _lines(region.spacing_mm)
    reach = [floor(PEAK_RADIUS_MM / length) for length in region.spacing_mm]
    (first, last), rows, columns = box
    step = max(1, SLAB_VOXELS // ((rows[1] - rows[0]) * (columns[1] - columns[0])))
    for start in range(first, last, step):
        slab = ((start, min(start + step, last)), rows, columns)
        inside = region.mask[tuple(slice(*ends) for ends in slab)]
        window, counted = _window(region.values, slab, reach)
        total = _sums(window, lines, reach)[inside]
        if counted.all():
            yield total / sum((2 * one + 1) * len(places) for one, places in lines.items())
        else:
            yield total / _sums(counted, lines, reach)[inside]


def _window(
    values: torch.Tensor, slab: tuple[tuple[int, int], ...], reach: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut out a slab and what spheres around it reach; return what lies in the image, too."""
    at, padding = [], []
    for (start, stop), far, length in zip(slab, reach, values.shape, strict=True):
        at.append(slice(max(0, start - far), min(length, stop + far)))
        padding += [max(0, stop + far - length), max(0, far - start)]
    part = values[tuple(at)].double()
    pad = padding[::-1]
    return (
        torch.nn.functional.pad(part, pad),
        torch.nn.functional.pad(torch.ones_like(part), pad),
    )


def _sums(window: torch.Tensor, lines: Lines, reach: list[int]) -> torch.Tensor:
    """Sum over the sphere around each voxel of a window without its margin."""
    slices, rows, columns = (
        length - 2 * far for length, far in zip(window.shape, reach, strict=True)
    )
    running = torch.nn.functional.pad(window.cumsum(2), (1, 0))
    total = torch.zeros((slices, rows, columns), dtype=window.dtype, device=window.device)
    for far, places in lines.items():
        start, stop = reach[2] - far, reach[2] + far + 1
        line = running[..., stop : stop + columns] - running[..., start : start + columns]
        for dz, dy in places:
            z, y = reach[0] + dz, reach[1] + dy
            total += line[z : z + slices, y : y + rows]
    return total


def _lines(spacing_mm: tuple[float, float, float]) -> Lines:
    square = PEAK_RADIUS_MM**2
    slices, rows = (floor(PEAK_RADIUS_MM / length) for length in spacing_mm[:2])
    lines = defaultdict(list)
    for dz in range(-slices, slices + 1):
        for dy in range(-rows, rows + 1):
            left = square - (dz * spacing_mm[0]) ** 2 - (dy * spacing_mm[1]) ** 2
            if left >= 0:
                lines[floor(left**0.5 / spacing_mm[2])].append((dz, dy))
    return lines
