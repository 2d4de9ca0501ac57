"""Spatial autocorrelation: Moran's I and Geary's C over all pairs of voxels, exactly, by Fourier transform.

The weight of a pair depends only on how far apart its voxels lie, so sums over pairs are sums over displacements of an
autocorrelation: O(n log n) instead of the O(n^2) of the definition.

Source:
    IBSI reference manual, Morphological features, Moran's I index (N365) and Geary's C measure (NPT7).
"""

from dataclasses import dataclass

import torch

MAXIMUM_CELLS = 1 << 24
"""Displacements that are affordable: they take about 50 bytes each, 0.9 GB in all."""


@dataclass(frozen=True, slots=True)
class Autocorrelation:
    """Moran's I and Geary's C of one region."""

    moran: float
    geary: float


def cells(shape: tuple[int, ...]) -> int:
    """Count the displacements within a bounding box."""
    count = 1
    for length in shape:
        count *= _fast(2 * length - 1)
    return count


def autocorrelation(
    values: torch.Tensor, mask: torch.Tensor, spacing_mm: tuple[float, float, float]
) -> Autocorrelation:
    """Compute both measures of a region of at least two voxels that differ.

    Args:
        values: Voxel values (slice, row, column).
        mask: Boolean, of the same shape.
        spacing_mm: Along (slice, row, column).
    """
    shape = [_fast(2 * length - 1) for length in values.shape]
    weights = _weights(shape, spacing_mm, values.device)
    inside = mask.double()
    apart = torch.where(mask, values.double() - values[mask].double().mean(), 0.0)
    count = float(inside.sum())
    spectrum = torch.fft.rfftn(weights, shape).real
    of_mask, of_values = torch.fft.rfftn(inside, shape), torch.fft.rfftn(apart, shape)
    of_squares = torch.fft.rfftn(apart**2, shape)
    pairs = _sum(spectrum, of_mask, of_mask, shape)
    products = _sum(spectrum, of_values, of_values, shape)
    squares = _sum(spectrum, of_squares, of_mask, shape)
    spread = float((apart**2).sum())
    return Autocorrelation(
        moran=count / pairs * products / spread,
        geary=(count - 1) / (2 * pairs) * (2 * squares - 2 * products) / spread,
    )


def _sum(spectrum: torch.Tensor, one: torch.Tensor, two: torch.Tensor, shape: list[int]) -> float:
    """Sum weight x one x two over all pairs, by Parseval's theorem on half a spectrum."""
    product = (one * two.conj()).real * spectrum
    last = shape[-1]
    doubled = 2 * product.sum() - product[..., 0].sum()
    if last % 2 == 0:
        doubled = doubled - product[..., -1].sum()
    return float(doubled) / (shape[0] * shape[1] * last)


def _weights(
    shape: list[int], spacing_mm: tuple[float, float, float], device: torch.device
) -> torch.Tensor:
    """Return the inverse distance of each displacement, periodic; none for a voxel with itself."""
    square = torch.zeros(shape, dtype=torch.float64, device=device)
    for axis, (length, spacing) in enumerate(zip(shape, spacing_mm, strict=True)):
        steps = torch.arange(length, dtype=torch.float64, device=device)
        view = [1, 1, 1]
        view[axis] = length
        square += ((torch.minimum(steps, length - steps) * spacing) ** 2).view(view)
    square[0, 0, 0] = torch.inf
    return square.rsqrt_()


def _fast(length: int) -> int:
    """Return the next length whose only prime factors are 2, 3 and 5, which transforms fastest."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
