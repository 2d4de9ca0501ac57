"""Normalised mutual information of image pairs, with its derivative, for many transforms at once."""

from typing import NamedTuple

import torch

BINS = 32
_MARGIN = 1.5
"""Bins at either end that only the kernel reaches."""
_TINY = 1e-10


class Similarity(NamedTuple):
    """How much two images tell of each other, for each of K transforms.

    Attributes:
        score: (K,), normalised mutual information: 1 for independent images, 2 for images that determine each other.
        information: (K,), mutual information in nat.
        slopes: (K, N), derivative of the score by each value of the moving image.
    """

    score: torch.Tensor
    information: torch.Tensor
    slopes: torch.Tensor


def similarity(bins: torch.Tensor, values: torch.Tensor, weights: torch.Tensor) -> Similarity:
    """Compare samples of two images.

    The joint histogram counts the fixed image's values whole and spreads the moving image's ones over four bins by a
    cubic B-spline (a Parzen window), which makes it differentiable.

    Args:
        bins: (K or 1, N), the fixed image's values as bin numbers, 0 to `BINS` - 1.
        values: (K, N), the moving image's values, 0 to 1.
        weights: (K, N), how much each sample counts.

    Source:
        C. Studholme et al., Pattern Recognition 32 (1999) 71: invariance to overlap. P. Thevenaz and M. Unser, IEEE
        Transactions on Image Processing 9 (2000) 2083: the window and the derivative.
    """
    number = values.shape[0]
    place = values * (BINS - 1 - 2 * _MARGIN) + _MARGIN
    first = place.floor().clamp(1, BINS - 3)
    kernel, kernel_slope = _spline(place - first)
    table = torch.arange(number, device=values.device)[:, None] * BINS * BINS
    cells = (table + bins * BINS + first.long() - 1)[..., None] + _four(values.device)
    flat = cells.view(-1)
    counts = values.new_zeros(number * BINS * BINS)
    counts = counts.scatter_add_(0, flat, (kernel * weights[..., None]).view(-1))
    counts = counts.view(number, BINS, BINS)
    total = counts.sum((1, 2)).clamp_min(_TINY)
    joint = counts / total[:, None, None]
    moving, fixed = joint.sum(1), joint.sum(2)
    log_joint, log_moving = (joint + _TINY).log(), (moving + _TINY).log()
    both = -(joint * log_joint).sum((1, 2)).clamp_max(-_TINY)
    apart = -(moving * log_moving).sum(1) - (fixed * (fixed + _TINY).log()).sum(1)
    score = apart / both
    # d score = d apart / both - score / both * d both, with d both = -log p(f, m) dp and d apart = -log p(m) dp
    gain = (score / both)[:, None, None] * log_joint - log_moving[:, None, :] / both[:, None, None]
    gain = gain / total[:, None, None]
    slopes = gain.reshape(-1).index_select(0, flat).view_as(kernel)
    slopes = (slopes * kernel_slope).sum(-1) * weights * (BINS - 1 - 2 * _MARGIN)
    return Similarity(score, apart - both, slopes)


def _four(device: torch.device) -> torch.Tensor:
    return torch.arange(4, device=device)


def _spline(part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cubic B-spline at four neighbouring bins, and its derivative: (..., 4) each."""
    rest = 1 - part
    square, rest_square = part * part, rest * rest
    window = torch.stack(
        (
            rest_square * rest / 6,
            2 / 3 - square * (1 - part / 2),
            2 / 3 - rest_square * (1 - rest / 2),
            square * part / 6,
        ),
        -1,
    )
    slope = torch.stack(
        (
            -rest_square / 2,
            part * (1.5 * part - 2),
            rest * (2 - 1.5 * rest),
            square / 2,
        ),
        -1,
    )
    return window, slope
