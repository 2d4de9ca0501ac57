"""The intensity-volume histogram: which share of a region is at least so bright.

Source:
    IBSI reference manual, Intensity-volume histogram features (P88C).
"""

from math import isfinite, nan

import torch

from medaet.compute.features.region import Region, levels, lower_end
from medaet.compute.features.statistics import Numbers
from medaet.errors import FindingsError
from medaet.plugin.features import FeatureSettings

LOW, HIGH = 0.1, 0.9
MAXIMUM_PLACES = 1 << 22


def intensity_volume(region: Region, settings: FeatureSettings) -> Numbers:
    """Measure the histogram of a region that is not empty."""
    places, share = _curve(region, settings)
    fractions = (places - places[0]) / (places[-1] - places[0])  # NaN for a single place
    v10, v90 = (_volume_at(fractions, share, one) for one in (LOW, HIGH))
    i10, i90 = (_intensity_at(places, share, one) for one in (LOW, HIGH))
    return {
        "ivh_v10": v10,
        "ivh_v90": v90,
        "ivh_i10": i10,
        "ivh_i90": i90,
        "ivh_diff_v10_v90": v10 - v90,
        "ivh_diff_i10_i90": i10 - i90,
        "ivh_auc": float(torch.trapezoid(share, fractions)) if places.numel() > 1 else nan,
    }


def _curve(region: Region, settings: FeatureSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the intensities of the total range, and the share of the region at or above each."""
    if settings.ivh_bins is not None:
        numbers = levels(region, settings.ivh_bins, None)
        count, first, width = settings.ivh_bins, 1.0, 1.0
    elif settings.ivh_bin_width is not None:
        width = settings.ivh_bin_width
        numbers = levels(region, None, width)
        high = region.value_range[1]
        top = high if isfinite(high) else float(region.inside.max())
        count = max(round((top - lower_end(region)) / width), int(numbers.max()))
        first = lower_end(region) + width / 2
    else:
        low, high = _ends(region)
        numbers = (region.inside - low).floor().long() + 1
        count, first, width = int(high - low) + 1, low, 1.0
    if count > MAXIMUM_PLACES:
        raise FindingsError(
            f"feature settings: the intensity-volume histogram would have {count} places; give ivh_bins, or a wider "
            "ivh_bin_width"
        )
    below = torch.bincount(numbers - 1, minlength=count).cumsum(0).double()
    share = 1 - (below - torch.bincount(numbers - 1, minlength=count)) / numbers.numel()
    places = first + width * torch.arange(count, dtype=torch.float64, device=share.device)
    return places, share


def _ends(region: Region) -> tuple[float, float]:
    low, high = region.value_range
    values = region.inside
    return (
        low if isfinite(low) else float(values.min()),
        high if isfinite(high) else float(values.max()),
    )


def _volume_at(fractions: torch.Tensor, share: torch.Tensor, fraction: float) -> float:
    reached = share[fractions >= fraction - 1e-12]
    return float(reached[0]) if reached.numel() else nan


def _intensity_at(places: torch.Tensor, share: torch.Tensor, fraction: float) -> float:
    reached = places[share <= fraction + 1e-12]
    return float(reached[0]) if reached.numel() else nan
