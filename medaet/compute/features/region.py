"""A region of interest after image processing: values and masks on the grid that features are computed on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

import torch

from medaet.compute.features.grid import Axis, interpolate
from medaet.plugin.features import FeatureSettings

PEAK_RADIUS_MM = 6.2035049089940001667
"""Radius of a sphere of 1 cm3; local intensities are means over such spheres."""

HALF = 0.5 - 1e-6
"""A voxel whose interpolated mask is one half belongs to it, however the half was rounded."""

_WHOLE_FLOAT32 = 1 << 24


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One segment, cut out of the image with a margin of what its features look at.

    Attributes:
        values: (slice, row, column) voxel values, floating point, interpolated and rounded as asked.
        shape: Boolean, the morphological mask: the segment as it was drawn.
        mask: Boolean, the intensity mask: the segment after re-segmentation.
        spacing_mm: Along (slice, row, column).
        value_range: What re-segmentation kept; infinite where nothing limits it.
        is_drawn: Whether the segment had a voxel before interpolation.
    """

    values: torch.Tensor
    shape: torch.Tensor
    mask: torch.Tensor
    spacing_mm: tuple[float, float, float]
    value_range: tuple[float, float]
    is_drawn: bool = True

    @property
    def inside(self) -> torch.Tensor:
        """Values of the intensity mask in double precision, by slice, row and column."""
        return self.values[self.mask].double()

    def trimmed(self) -> "Region":
        """Cut the margin off; an empty region becomes one voxel outside of the mask."""
        box = bounding_box(self.shape)
        if box is None:
            box = ((0, 1), (0, 1), (0, 1))
        at = tuple(slice(*ends) for ends in box)
        return replace(self, values=self.values[at], shape=self.shape[at], mask=self.mask[at])


Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def bounding_box(mask: torch.Tensor) -> Box | None:
    """Return first and last-plus-one index along each axis; None for an empty mask."""
    ends = []
    for axis in range(3):
        others = tuple(one for one in range(3) if one != axis)
        hit = mask.any(dim=others[1]).any(dim=others[0]).nonzero().flatten()
        if not hit.numel():
            return None
        ends.append((int(hit[0]), int(hit[-1]) + 1))
    return ends[0], ends[1], ends[2]


def region_of(
    image: torch.Tensor,
    mask: torch.Tensor,
    spacing_mm: Sequence[float],
    settings: FeatureSettings,
) -> Region:
    """Process an image and a mask on it as IBSI says, around the mask only.

    Args:
        image: Voxel values (slice, row, column).
        mask: Boolean, of the same shape.
        spacing_mm: Along (slice, row, column).
        settings: The processing.

    Source:
        IBSI reference manual, Image processing.
    """
    box = bounding_box(mask)
    if box is None:
        return _empty(image, spacing_mm)
    wanted = settings.spacing_mm or (None, None, None)
    axes = [
        Axis.of(count, spacing, one)
        for count, spacing, one in zip(image.shape, spacing_mm, wanted, strict=True)
    ]
    ranges = [
        axis.covering(low - 1 - PEAK_RADIUS_MM / length, high + PEAK_RADIUS_MM / length)
        for axis, (low, high), length in zip(axes, box, spacing_mm, strict=True)
    ]
    values, shape = _resampled(image, mask, axes, ranges, settings)
    if settings.rounded:
        values = values.round()
    limits = _limits(values[shape].double(), settings)
    new_spacing = [length * axis.step for length, axis in zip(spacing_mm, axes, strict=True)]
    return Region(
        values=values,
        shape=shape,
        mask=shape & (values >= limits[0]) & (values <= limits[1]),
        spacing_mm=(new_spacing[0], new_spacing[1], new_spacing[2]),
        value_range=settings.value_range or (-inf, inf),
    )


def _empty(image: torch.Tensor, spacing_mm: Sequence[float]) -> Region:
    nothing = torch.zeros((1, 1, 1), dtype=torch.bool, device=image.device)
    slices, rows, columns = spacing_mm
    return Region(
        nothing.double(), nothing, nothing, (slices, rows, columns), (-inf, inf), is_drawn=False
    )


def _resampled(
    image: torch.Tensor,
    mask: torch.Tensor,
    axes: Sequence[Axis],
    ranges: Sequence[tuple[int, int]],
    settings: FeatureSettings,
) -> tuple[torch.Tensor, torch.Tensor]:
    if settings.spacing_mm is None:
        at = tuple(slice(*ends) for ends in ranges)
        values = image[at]
        exact = values.dtype in (torch.int16, torch.uint8, torch.float32)
        return values.to(torch.float32 if exact else torch.float64), mask[at]
    values = interpolate(image, axes, ranges, settings.interpolation)
    if settings.rounded and float(values.abs().max()) < _WHOLE_FLOAT32:
        values = values.round().float()
    return values, interpolate(mask, axes, ranges, "linear") >= HALF


def _limits(values: torch.Tensor, settings: FeatureSettings) -> tuple[float, float]:
    """Return the least and the greatest value that stay, from the range and from outliers."""
    low, high = settings.value_range or (-inf, inf)
    if settings.outlier_sigmas is not None and values.numel():
        mean, spread = float(values.mean()), float(values.std(correction=0))
        low = max(low, mean - settings.outlier_sigmas * spread)
        high = min(high, mean + settings.outlier_sigmas * spread)
    return low, high


def lower_end(region: Region) -> float:
    """Return where fixed bins begin: at the lower end of the range, or at the least value of the region."""
    low = region.value_range[0]
    return low if isfinite(low) else float(region.inside.min())


def levels(region: Region, bins: int | None, width: float | None) -> torch.Tensor:
    """Discretise the values of the intensity mask.

    Args:
        region: Not empty.
        bins: Fixed bin number, or None.
        width: Fixed bin size, or None.

    Returns:
        Whole numbers from 1, in the order of `Region.inside`.

    Source:
        IBSI reference manual, Image processing, Intensity discretisation (K15C, Q3RU).
    """
    values = region.inside
    if bins is not None:
        low, high = values.min(), values.max()
        if low == high:
            return torch.ones_like(values, dtype=torch.int64)
        return ((values - low) / (high - low) * bins).floor().long().clamp(max=bins - 1) + 1
    assert width is not None
    return ((values - lower_end(region)) / width).floor().long() + 1
