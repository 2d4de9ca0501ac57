"""Intensities for registration: where an image shows something, and its values spread evenly over 0 to 1."""

import torch
from torch.nn import functional

from medaet.errors import RegistrationError

LOW, HIGH = 0.002, 0.998
LEVELS = 512
SMOOTHING_LEVELS = 4.0
EVENNESS = 0.5
"""Weight of the rank of a value against the value itself: ranks alone would make noise as loud as tissue."""


class Equalisation:
    """A monotonic map of intensities to 0 to 1 that gives tissue, not air or metal, most of the range.

    Mutual information does not mind such a map, but a histogram with few bins does: on CT, soft tissue would share
    one or two of them.

    Args:
        values: Voxel values of the part of an image that matters, any shape.

    Raises:
        RegistrationError: the values are all the same.
    """

    def __init__(self, values: torch.Tensor) -> None:
        ends = values.new_tensor([LOW, HIGH])
        low, high = _quantiles(values, ends)
        if not high > low:
            raise RegistrationError("an image is flat: its voxels have the same value")
        self._low = low
        self._scale = LEVELS / (high - low)
        counts = torch.histc(values.clamp(low, high), LEVELS, low, high)
        width = round(3 * SMOOTHING_LEVELS)
        kernel = torch.arange(-width, width + 1, device=values.device) / SMOOTHING_LEVELS
        kernel = torch.exp(-kernel.square() / 2)
        smooth = functional.conv1d(counts[None, None], kernel[None, None], padding=width)[0, 0]
        ranks = functional.pad(smooth.cumsum(0), (1, 0))
        even = torch.linspace(0, 1, LEVELS + 1, device=values.device)
        self._table = EVENNESS * ranks / ranks[-1] + (1 - EVENNESS) * even

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map values, and return the map's slope at each of them too."""
        place = (values - self._low) * self._scale
        level = place.clamp(0, LEVELS - 1).long()
        start = self._table[level]
        rise = self._table[level + 1] - start
        inside = (place > 0) & (place < LEVELS)
        return start + (place - level).clamp(0, 1) * rise, rise * self._scale * inside


def foreground(voxels: torch.Tensor) -> torch.Tensor:
    """Tell what an image shows from what surrounds it, by Otsu's threshold.

    Args:
        voxels: (slice, row, column), floating point.

    Returns:
        Boolean, of the same shape.

    Raises:
        RegistrationError: the image is flat.

    Source:
        N. Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979) 62.
    """
    low, high = _quantiles(voxels, voxels.new_tensor([0.01, 0.99]))
    if not high > low:
        raise RegistrationError("an image is flat: its voxels have the same value")
    counts = torch.histc(voxels.clamp(low, high), LEVELS, low, high)
    centres = torch.linspace(low, high, LEVELS, device=voxels.device)
    share = counts.cumsum(0) / counts.sum()
    moment = (counts * centres).cumsum(0) / counts.sum()
    between = (moment[-1] * share - moment).square() / (share * (1 - share)).clamp_min(1e-6)
    return voxels > centres[between[:-1].argmax()]


def grown(mask: torch.Tensor) -> torch.Tensor:
    """Add to a mask (slice, row, column) the voxels that touch it."""
    return functional.max_pool3d(mask[None, None].float(), 3, 1, 1)[0, 0] > 0


def _quantiles(values: torch.Tensor, at: torch.Tensor) -> tuple[float, float]:
    flat = values.reshape(-1)
    few = flat[:: max(1, flat.numel() // 200_000)]
    low, high = torch.quantile(few, at).tolist()
    return low, high
