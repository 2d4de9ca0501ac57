"""First-order features: of the values themselves, and of their bins.

Everywhere in this package NaN stands for a feature that is not defined on a region; `medaet.compute.features.extract`
turns it into a reason.

Source:
    IBSI reference manual, Intensity-based statistical features (UHIW) and Intensity histogram features (ZVCW).
"""

from math import nan

import torch

Numbers = dict[str, float]


def statistics(values: torch.Tensor) -> Numbers:
    """Measure voxel values.

    Args:
        values: Of the intensity mask; double precision, at least one.
    """
    common = _common(values)
    return {
        **{f"stat_{name}": value for name, value in common.items()},
        "stat_energy": float((values**2).sum()),
        "stat_rms": float((values**2).mean().sqrt()),
    }


def histogram(levels: torch.Tensor, bins: int) -> Numbers:
    """Measure the histogram of discretised values.

    Args:
        levels: Bin numbers from 1, at least one.
        bins: How many bins there are.
    """
    common = _common(levels.double())
    counts = torch.bincount(levels - 1, minlength=bins).double()
    share = counts[counts > 0] / counts.sum()
    modes = (counts == counts.max()).nonzero().flatten() + 1
    return {
        **{f"ih_{name}": value for name, value in common.items()},
        "ih_mode": float(modes[(modes - common["mean"]).abs().argmin()]),
        "ih_entropy": -float((share * share.log2()).sum()),
        "ih_uniformity": float((share**2).sum()),
        **_gradients(counts),
    }


def percentile(ordered: torch.Tensor, percent: float) -> float:
    """Return a percentile of sorted values, linear between neighbours."""
    place = (ordered.numel() - 1) * percent / 100
    below = int(place)
    above = min(below + 1, ordered.numel() - 1)
    share = place - below
    return float(ordered[below] * (1 - share) + ordered[above] * share)


def _common(values: torch.Tensor) -> Numbers:
    ordered = values.sort().values
    low, p10, p25, median, p75, p90, high = (
        percentile(ordered, percent) for percent in (0, 10, 25, 50, 75, 90, 100)
    )
    mean = float(values.mean())
    apart = values - mean
    variance = float((apart**2).mean()) if low < high else 0.0
    middle = values[(values >= p10) & (values <= p90)]
    return {
        "mean": mean,
        "var": variance,
        "skew": float((apart**3).mean()) / variance**1.5 if variance else 0.0,
        "kurt": float((apart**4).mean()) / variance**2 - 3 if variance else 0.0,
        "median": median,
        "min": low,
        "p10": p10,
        "p90": p90,
        "max": high,
        "iqr": p75 - p25,
        "range": high - low,
        "mad": float(apart.abs().mean()),
        "rmad": float((middle - middle.mean()).abs().mean()),
        "medad": float((values - median).abs().mean()),
        "cov": variance**0.5 / mean if mean else nan,
        "qcod": (p75 - p25) / (p75 + p25) if p75 + p25 else nan,
    }


def _gradients(counts: torch.Tensor) -> Numbers:
    """Return the steepest rise and fall of the histogram, and the bins where they are."""
    if counts.numel() < 2:
        return dict.fromkeys(("ih_max_grad", "ih_max_grad_g", "ih_min_grad", "ih_min_grad_g"), nan)
    (gradient,) = torch.gradient(counts)
    return {
        "ih_max_grad": float(gradient.max()),
        "ih_max_grad_g": float(gradient.argmax() + 1),
        "ih_min_grad": float(gradient.min()),
        "ih_min_grad_g": float(gradient.argmin() + 1),
    }
