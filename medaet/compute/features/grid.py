"""Interpolation to another grid that shares its centre, on the part of it that a region needs.

Both interpolations are separable: one small matrix for each axis maps the old samples to the new ones.

Source:
    IBSI reference manual, Image processing, Interpolation (VTM2, UMPJ, 026Q, QCY4).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

SPLINE_MARGIN = 16
"""Samples beyond the needed ones that decide a spline: its filter decays by 0.27 a sample, to 1e-9."""

_GROWTH = 1e-9


@dataclass(frozen=True, slots=True)
class Axis:
    """The samples along one axis of the new grid, as places on the old one.

    Attributes:
        count: Samples of the whole old axis.
        first: Place of the first new sample.
        step: Distance of new samples.
        samples: How many new ones there are.
    """

    count: int
    first: float
    step: float
    samples: int

    @classmethod
    def of(cls, count: int, spacing_mm: float, wanted_mm: float | None) -> "Axis":
        """Lay new samples over an axis; None keeps the old ones."""
        if wanted_mm is None:
            return cls(count, 0.0, 1.0, count)
        samples = math.ceil(count * spacing_mm / wanted_mm - _GROWTH)
        step = wanted_mm / spacing_mm
        return cls(count, (count - 1 - step * (samples - 1)) / 2, step, samples)

    def covering(self, low: float, high: float) -> tuple[int, int]:
        """Return the range of new samples, stop excluded, within an interval of old places."""
        start = max(0, math.floor((low - self.first) / self.step))
        stop = min(self.samples, math.ceil((high - self.first) / self.step) + 1)
        return start, max(start, stop)

    def needed(self, start: int, stop: int, margin: int) -> tuple[int, int]:
        """Return the range of old samples that decide some new ones."""
        low = math.floor(self.first + self.step * start) - margin
        high = math.ceil(self.first + self.step * (stop - 1)) + margin + 1
        return max(0, min(low, self.count - 1)), min(self.count, max(high, 1))


def interpolate(
    values: torch.Tensor, axes: Sequence[Axis], ranges: Sequence[tuple[int, int]], method: str
) -> torch.Tensor:
    """Interpolate to a part of a new grid; beyond its edge the old grid goes on with its last sample.

    Args:
        values: The whole old grid, (slice, row, column).
        axes: The new grid along each axis.
        ranges: The new samples that are wanted, stop excluded.
        method: "linear" or "cubic" (B-spline).

    Returns:
        Double precision, (slice, row, column).
    """
    weigh, margin = (_linear, 1) if method == "linear" else (_cubic, SPLINE_MARGIN)
    needed = [axis.needed(*ends, margin) for axis, ends in zip(axes, ranges, strict=True)]
    part = values[tuple(slice(*ends) for ends in needed)].double()
    for dim, (axis, ends, (low, high)) in enumerate(zip(axes, ranges, needed, strict=True)):
        matrix = _matrix(axis, ends, low, high, weigh)
        if matrix is not None:
            part = torch.tensordot(part, matrix.to(part.device), dims=([dim], [1])).movedim(-1, dim)
    return part


Weigh = Callable[[torch.Tensor, int], torch.Tensor]


def _matrix(
    axis: Axis, ends: tuple[int, int], low: int, high: int, weigh: Weigh
) -> torch.Tensor | None:
    """Return (new, old) weights along an axis, or None when the new samples are the old ones."""
    start, stop = ends
    places = axis.first + axis.step * torch.arange(start, stop, dtype=torch.float64)
    if axis.step == 1 and axis.first == 0:
        return None if (start, stop) == (low, high) else weigh(places - low, high - low)
    return weigh(places - low, high - low)


def _linear(places: torch.Tensor, count: int) -> torch.Tensor:
    inside = places.clamp(0, count - 1)
    below = inside.floor().long().clamp(max=max(count - 2, 0))
    share = inside - below
    weights = torch.zeros((places.numel(), count), dtype=torch.float64)
    rows = torch.arange(places.numel())
    weights[rows, below] += 1 - share
    weights[rows, (below + 1).clamp(max=count - 1)] += share
    return weights


def _cubic(places: torch.Tensor, count: int) -> torch.Tensor:
    """Weigh by a cubic B-spline through samples that go on constantly at both ends."""
    padded = count + 2 * SPLINE_MARGIN
    inside = places.clamp(-2, count + 1) + SPLINE_MARGIN
    knots = torch.arange(padded, dtype=torch.float64)
    basis = _spline(inside[:, None] - knots[None])
    system = _spline(knots[:, None] - knots[None])
    system[0, 1] = system[-1, -2] = 1 / 3  # mirrored at the ends
    spread = torch.zeros((padded, count), dtype=torch.float64)
    at = (torch.arange(padded) - SPLINE_MARGIN).clamp(0, count - 1)
    spread[torch.arange(padded), at] = 1
    return basis @ torch.as_tensor(torch.linalg.solve(system, spread))


def _spline(distance: torch.Tensor) -> torch.Tensor:
    far = distance.abs()
    near = (4 - 6 * far**2 + 3 * far**3) / 6
    return torch.where(far < 1, near, ((2 - far).clamp(min=0) ** 3) / 6)
