"""Intensities as networks want them: the usual mappings, computed on the device that holds the image.

Each is a function of an image (channel, ...) for `runtime.segment(intensity=...)`, and equals the transform of MONAI
that its docstring names.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Window:
    """Clip to a window and map it linearly, as ScaleIntensityRange(clip=True) does.

    Attributes:
        low: Lowest value, such as -1000 HU.
        high: Highest value.
        to_low: What becomes of `low`.
        to_high: What becomes of `high`.
    """

    low: float
    high: float
    to_low: float = 0.0
    to_high: float = 1.0

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Map an image (channel, ...)."""
        factor = (self.to_high - self.to_low) / (self.high - self.low)
        return image.clamp(self.low, self.high).sub_(self.low).mul_(factor).add_(self.to_low)


@dataclass(frozen=True, slots=True)
class Scaled:
    """Map each channel's lowest and highest value, as ScaleIntensity(channel_wise=True) does."""

    to_low: float = 0.0
    to_high: float = 1.0

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Map an image (channel, ...)."""
        flat = image.flatten(1)
        low, high = flat.amin(dim=1), flat.amax(dim=1)
        return _mapped(image, low, high, self.to_low, self.to_high)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Map two percentiles of each channel, as ScaleIntensityRangePercentiles(channel_wise=True) does.

    Attributes:
        lower: Percentile, 0 to 100, which becomes `to_low`.
        upper: Percentile which becomes `to_high`.
        clip: Whether values beyond are set to these.
    """

    lower: float = 0.5
    upper: float = 99.5
    to_low: float = 0.0
    to_high: float = 1.0
    clip: bool = True

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Map an image (channel, ...)."""
        low, high = (percentile(image, one) for one in (self.lower, self.upper))
        mapped = _mapped(image, low, high, self.to_low, self.to_high)
        return mapped.clamp_(self.to_low, self.to_high) if self.clip else mapped


@dataclass(frozen=True, slots=True)
class Normalised:
    """Give each channel mean 0 and standard deviation 1, as NormalizeIntensity(channel_wise=True) does.

    Attributes:
        nonzero: Whether only values other than 0 count and are changed: those of a brain whose surroundings are blank.
    """

    nonzero: bool = False

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Map an image (channel, ...)."""
        mapped = image.float().clone()
        for channel in mapped:
            counts = channel != 0 if self.nonzero else torch.ones_like(channel, dtype=torch.bool)
            values = channel[counts].double()
            if not len(values):
                continue
            spread = values.std(correction=0)
            channel[counts] = ((values - values.mean()) / (spread if spread > 0 else 1)).float()
        return mapped


def percentile(image: torch.Tensor, percent: float) -> torch.Tensor:
    """Return a percentile of each channel (channel,), linear between the two nearest values; of any number of voxels.

    `torch.quantile` refuses more than 16 million values.
    """
    flat = image.flatten(1).float()
    place = percent / 100 * (flat.shape[1] - 1)
    lower = int(place)
    upper = min(lower + 1, flat.shape[1] - 1)
    low = flat.kthvalue(lower + 1, dim=1).values
    return low.lerp(flat.kthvalue(upper + 1, dim=1).values, place - lower)


def _mapped(
    image: torch.Tensor, low: torch.Tensor, high: torch.Tensor, to_low: float, to_high: float
) -> torch.Tensor:
    """Map `low` and `high` of each channel; a channel without contrast becomes `to_low`."""
    shape = [-1, *[1] * (image.ndim - 1)]
    width = torch.where(high > low, high - low, torch.ones_like(low))
    factor = ((to_high - to_low) / width).reshape(shape)
    return (image.float() - low.reshape(shape)).mul_(factor).add_(to_low)
