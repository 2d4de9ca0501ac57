"""Arrays on other grids, resampled on the device that holds them."""

import torch
from torch.nn import functional


def resample(
    image: torch.Tensor, shape: tuple[int, int, int], *, nearest: bool = False
) -> torch.Tensor:
    """Resample to another number of voxels over the same extent.

    Args:
        image: (channel, slice, row, column), floating point.
        shape: Voxels along (slice, row, column) of the result.
        nearest: Take the nearest voxel instead of interpolating linearly between the neighbours.

    Returns:
        (channel, *shape); voxel edges, not voxel centres, of first and last voxel coincide with those of `image`.
    """
    if tuple(image.shape[1:]) == shape:
        return image
    if nearest:
        return functional.interpolate(image[None], size=shape, mode="nearest-exact")[0]
    return functional.interpolate(image[None], size=shape, mode="trilinear", align_corners=False)[0]


def shape_for(
    shape: tuple[int, int, int], spacing_mm: tuple[float, ...], wanted_mm: tuple[float, ...]
) -> tuple[int, int, int]:
    """Count the voxels of a grid of another spacing over the same extent.

    Args:
        shape: Voxels along (slice, row, column).
        spacing_mm: Spacing of the grid there is.
        wanted_mm: Spacing of the grid there should be; met to within half a voxel over the whole extent.
    """
    counts = [
        max(1, round(count * spacing / wanted))
        for count, spacing, wanted in zip(shape, spacing_mm, wanted_mm, strict=True)
    ]
    return counts[0], counts[1], counts[2]
