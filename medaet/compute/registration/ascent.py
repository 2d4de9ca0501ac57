"""The way uphill: a quasi-Newton ascent in a family of motions, from many starts at once."""

from dataclasses import dataclass

import torch

from medaet.compute.registration.objective import Evaluation, Objective

GROWTH, SHRINKAGE = 2.5, 0.4
LONGEST = 2.0
"""A step may become this many times longer than the first."""


@dataclass(frozen=True, slots=True, eq=False)
class Ascended:
    """Where an ascent led from each of K starts.

    Attributes:
        matrices: (K, 4, 4), float64.
        found: Of these matrices.
        steps: How many steps were taken.
    """

    matrices: torch.Tensor
    found: Evaluation
    steps: int

    def best(self, number: int = 1) -> torch.Tensor:
        """Return the matrices with the highest scores, the highest first."""
        return self.matrices[self.found.score.argsort(descending=True)[:number]]


def ascend(
    objective: Objective, start: torch.Tensor, *, steps: int, first_mm: float, last_mm: float
) -> Ascended:
    """Climb from each start until every step has become short.

    The matrices are a group, not a vector space: a step is a motion before the motion there is, and the curvature
    gathered so far is taken along unchanged. A step that leads down is not taken, but what it taught is.

    Args:
        objective: What to climb.
        start: (K, 4, 4).
        steps: At most so many.
        first_mm: Length of the first step, in the parameters' mm.
        last_mm: Steps shorter than this end the ascent.

    Source:
        J. Nocedal and S. Wright, Numerical Optimization (2006), chapter 6: BFGS.
    """
    matrices, here = start, objective(start)
    curvature = _Curvature(*here.gradient.shape)
    reach = torch.full((len(start),), first_mm)
    taken = 0
    while taken < steps and not bool((reach < last_mm).all()):
        taken += 1
        step = curvature.direction(here.gradient, reach)
        there_matrices = matrices @ objective.motions.exponential(step)
        there = objective(there_matrices)
        curvature.learn(step, here.gradient - there.gradient)
        higher = there.score > here.score
        length = step.norm(dim=1)
        reach = torch.where(
            higher, (GROWTH * length).clamp_max(LONGEST * first_mm), SHRINKAGE * length
        )
        matrices = torch.where(higher[:, None, None], there_matrices, matrices)
        here = Evaluation(*(_chosen(higher, *both) for both in zip(there, here, strict=True)))
    return Ascended(matrices, here, taken)


class _Curvature:
    """The inverse Hessian of each climber, as far as it is known."""

    def __init__(self, climbers: int, parameters: int) -> None:
        self._one = torch.eye(parameters)
        self._inverse = self._one.repeat(climbers, 1, 1)
        self._known = torch.zeros(climbers, dtype=torch.bool)

    def direction(self, gradient: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
        """Choose a step (K, P): Newton's, or along the gradient while nothing is known; no longer than `reach`."""
        step = torch.einsum("kij,kj->ki", self._inverse, gradient)
        believed = self._known & ((step * gradient).sum(1) > 0)
        step = torch.where(believed[:, None], step, gradient)
        length = step.norm(dim=1).clamp_min(1e-12)
        wanted = torch.where(believed, torch.minimum(length, reach), reach)
        return torch.mul(step, (wanted / length)[:, None])

    def learn(self, step: torch.Tensor, fall: torch.Tensor) -> None:
        """Take in how much the gradient fell over a step."""
        along = (step * fall).sum(1)
        curved = along > 1e-12
        rate = 1 / along.clamp_min(1e-12)
        scaled = (along / fall.square().sum(1).clamp_min(1e-20))[:, None, None] * self._one
        before = torch.where((curved & ~self._known)[:, None, None], scaled, self._inverse)
        side = self._one - rate[:, None, None] * step[:, :, None] * fall[:, None, :]
        after = side @ before @ side.transpose(1, 2)
        after = after + rate[:, None, None] * step[:, :, None] * step[:, None, :]
        self._inverse = torch.where(curved[:, None, None], after, self._inverse)
        self._known = self._known | curved


def _chosen(higher: torch.Tensor, there: torch.Tensor, here: torch.Tensor) -> torch.Tensor:
    return torch.where(higher.reshape(-1, *[1] * (here.dim() - 1)), there, here)
