"""The quality gate: figures for and against a registration, and the sentences that refuse it."""

import torch

from medaet.compute.registration.align import LEVELS, Aligned, align
from medaet.compute.registration.ascent import ascend
from medaet.compute.registration.lattice import Warp
from medaet.compute.registration.motion import (
    Model,
    Motions,
    angle_degrees,
    apply,
    distance_mm,
    scales,
)
from medaet.compute.registration.objective import Objective
from medaet.compute.registration.side import Side
from medaet.plugin.registration import Figures

LEAST_OVERLAP = 0.4
LEAST_GAIN = 1.25
LARGEST_INVERSE_MM = 2.0
LARGEST_RESIDUAL_MM = 2.5
LEAST_AGREEING = 0.6
LARGEST_ANGLE_DEGREES = 60.0
LEAST_SCALE, LARGEST_SCALE = 0.85, 1.18
LEAST_JACOBIAN = 0.1
"""Two scans of one head pass all of these by far; of two heads, or of a head and a chest, none passes them all."""

PARTS = 3
"""Along each axis of the patient."""
PART_SAMPLES = 3000
PART_SHARE = 0.5
"""A part counts when it holds this share of the samples that an even spread would give it."""
AGREEING_MM = 3.0
FIRST_MM, LAST_MM = 2.0, 0.2
OUTERMOST = 0.02
"""Share of the samples on either side of the image that do not stretch the parts."""


def examine(fixed: Side, moving: Side, aligned: Aligned, model: Model, *, seed: int) -> Figures:
    """Put together what speaks for and against a registration that is a motion."""
    overlapping = moving.within(fixed.image, torch.linalg.inv(aligned.matrix))
    back = align(overlapping, fixed, model, seed=seed + 1, levels=LEVELS[:-1])
    residual = shifts(fixed, moving, aligned.matrix, seed=seed + 2)
    least, largest = scales(aligned.matrix)
    return Figures(
        overlap=aligned.overlap,
        information=aligned.information,
        gain=(aligned.coarse - 1) / max(aligned.chance - 1, 1e-6),
        inverse_mm=distance_mm(aligned.matrix, torch.linalg.inv(back.matrix), fixed.shown),
        residual_mm=float(residual.median()),
        agreeing=float((residual < AGREEING_MM).float().mean()),
        angle_degrees=angle_degrees(aligned.matrix),
        least_scale=least,
        largest_scale=largest,
    )


def objections(figures: Figures) -> list[str]:
    """Say why a registration cannot be trusted; nothing when it can."""
    one = figures
    checks = (
        (one.overlap < LEAST_OVERLAP, f"only {one.overlap:.0%} of the smaller image overlaps"),
        (one.gain < LEAST_GAIN, f"the images agree no better than by chance ({one.gain:.2f})"),
        (
            one.inverse_mm > LARGEST_INVERSE_MM,
            f"the registration the other way round differs by {one.inverse_mm:.1f} mm",
        ),
        (
            one.residual_mm > LARGEST_RESIDUAL_MM or one.agreeing < LEAST_AGREEING,
            f"{1 - one.agreeing:.0%} of the parts of the image want to lie elsewhere, "
            f"by {one.residual_mm:.1f} mm in the median",
        ),
        (
            one.angle_degrees > LARGEST_ANGLE_DEGREES,
            f"the images are turned by {one.angle_degrees:.0f} degrees",
        ),
        (
            not LEAST_SCALE <= one.least_scale <= one.largest_scale <= LARGEST_SCALE,
            f"the images are stretched by {one.least_scale:.2f} to {one.largest_scale:.2f}",
        ),
        (
            one.least_jacobian < LEAST_JACOBIAN,
            f"the deformation folds (local change of volume {one.least_jacobian:.2f})",
        ),
    )
    return [sentence for failed, sentence in checks if failed]


def shifts(
    fixed: Side, moving: Side, matrix: torch.Tensor, *, seed: int, warp: Warp | None = None
) -> torch.Tensor:
    """Align parts of the fixed image by themselves, each by a shift.

    Args:
        fixed: The image that is parted.
        moving: The other one.
        matrix: (4, 4), where the registration takes the fixed image's points.
        seed: Decides which points are compared.
        warp: The deformation before that; None for none.

    Returns:
        Length of the best shift of each part that shows enough, in mm.
    """
    generator = torch.Generator().manual_seed(seed)
    points = _parts(fixed, moving, matrix, generator)
    motions = Motions.of("shift", fixed.centre, fixed.radius_mm)
    objective = Objective.between(
        fixed,
        moving,
        motions,
        points,
        fixed.unit_mm / 4,
        moved=None if warp is None else warp(points.view(-1, 3)).view_as(points),
    )
    start = matrix.repeat(len(points), 1, 1)
    end = ascend(objective, start, steps=10, first_mm=FIRST_MM, last_mm=LAST_MM).matrices
    distances: torch.Tensor = (end[:, :3, 3] - start[:, :3, 3]).norm(dim=1)
    return distances


def _parts(
    fixed: Side, moving: Side, matrix: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Part samples of what both images show by thirds along each axis of the patient: (parts, samples, 3)."""
    number = PARTS**3
    every = fixed.points(2 * number * PART_SAMPLES, generator)
    every = every[moving.image.sample(apply(matrix, every)).weights > 0]
    if len(every) < PART_SAMPLES:
        return fixed.points(PART_SAMPLES, generator)[None]
    ends = torch.quantile(every, every.new_tensor([OUTERMOST, 1 - OUTERMOST]), dim=0)
    third = ((every - ends[0]) / (ends[1] - ends[0]) * PARTS).clamp(0, PARTS - 1).long()
    part = (third * third.new_tensor([PARTS**2, PARTS, 1])).sum(1)
    groups = [every[part == one] for one in range(number)]
    order = torch.arange(PART_SAMPLES, device=every.device)
    least = min(PART_SHARE * PART_SAMPLES, max(len(group) for group in groups))
    return torch.stack([group[order % len(group)] for group in groups if len(group) >= least])
