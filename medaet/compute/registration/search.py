"""The first look: which of many poses are worth a climb."""

import itertools
import math

import torch

from medaet.compute.registration.motion import Motions, rotations, shift
from medaet.compute.registration.objective import Objective
from medaet.compute.registration.side import Side

ANGLES_DEGREES = (-32.0, -16.0, 0.0, 16.0, 32.0)
"""About each axis; a climb on the coarsest level finds its way from half of the distance between them."""

HEIGHTS = (-0.7, -0.35, 0.35, 0.7)
"""Shifts along the body, in mean radii: fields of view are cropped at the neck or the crown."""

SAMPLES = 512
TOGETHER = 128
"""Poses judged at once."""


def look(
    fixed: Side, moving: Side, generator: torch.Generator, motions: Motions
) -> tuple[torch.Tensor, torch.Tensor]:
    """Judge turns about every axis, with the images' centres of mass or their middles put over each other.

    Returns:
        The poses (K, 4, 4) that take points of the fixed image to points of the moving one, the best first, and
        their scores (K,).
    """
    unit = fixed.unit_mm
    points = fixed.points(SAMPLES, generator)[None]
    objective = Objective.between(fixed, moving, motions, points, unit)
    every = poses(fixed, moving)
    scores = torch.cat([objective(some).score for some in torch.split(every, TOGETHER)])
    order = scores.argsort(descending=True)
    return every[order], scores[order]


def poses(fixed: Side, moving: Side) -> torch.Tensor:
    """List the poses to be judged: (K, 4, 4)."""
    angles = [math.radians(angle) for angle in ANGLES_DEGREES]
    turns = rotations(list(itertools.product(angles, repeat=3)))
    middles = [(fixed.centre, moving.centre), (fixed.image.centre, moving.image.centre)]
    up = torch.tensor([0.0, 0.0, fixed.radius_mm], dtype=torch.float64)
    middles += [(fixed.centre, moving.centre + height * up) for height in HEIGHTS]
    return torch.cat([shift(there) @ turns @ shift(-here) for here, there in middles])


def apart(
    matrices: torch.Tensor, points: torch.Tensor, *, least_mm: float, number: int
) -> torch.Tensor:
    """Pick the first few of matrices (K, 4, 4) that differ: their indices.

    Args:
        matrices: The best first.
        points: (N, 3), mm; what the matrices move.
        least_mm: Mean distance between where two of them move the points.
        number: At most so many.
    """
    homogeneous = torch.cat((points, torch.ones_like(points[:, :1])), 1)
    moved = (matrices @ homogeneous.T)[:, :3]
    kept: list[int] = []
    for one in range(len(matrices)):
        if all(float((moved[one] - moved[k]).norm(dim=0).mean()) > least_mm for k in kept):
            kept.append(one)
        if len(kept) == number:
            break
    return torch.tensor(kept)
