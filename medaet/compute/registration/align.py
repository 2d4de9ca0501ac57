"""Rigid and affine registration: a look at many poses, then climbs at finer and finer resolution."""

from dataclasses import dataclass

import torch

from medaet.compute.registration.ascent import Ascended, ascend
from medaet.compute.registration.motion import Model, Motions
from medaet.compute.registration.objective import Objective
from medaet.compute.registration.search import apart, look
from medaet.compute.registration.side import Side


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution.

    Attributes:
        voxel: Size of its voxels, in units of the coarsest level's.
        samples: Points compared.
        climbers: How many of the best poses go on from the level before.
        steps: At most so many for each climber.
        first, last: Length of the first and of the shortest step, in voxels.
    """

    voxel: float
    samples: int
    climbers: int
    steps: int
    first: float = 0.7
    last: float = 0.05


LEVELS = (
    Level(1.0, 1500, climbers=32, steps=14, first=1.0, last=0.06),
    Level(0.5, 6000, climbers=6, steps=12, first=1.0),
    Level(0.25, 20_000, climbers=1, steps=12, first=0.5, last=0.02),
    Level(0.125, 50_000, climbers=1, steps=10, first=0.5, last=0.02),
)
DIFFERENT = 1.0
"""Poses nearer to each other than this many voxels of the coarsest level are one."""


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """The best pose, and what was learnt on the way.

    Attributes:
        matrix: (4, 4), float64; takes points of the fixed image to the moving one, mm.
        score: Normalised mutual information at the finest level.
        information: Mutual information there, in nat.
        overlap: Share of what the fixed image shows that lies inside the moving image.
        chance: Median score of the poses that were looked at first.
        coarse: Score of the best pose at the coarsest level, comparable with `chance`.
    """

    matrix: torch.Tensor
    score: float
    information: float
    overlap: float
    chance: float
    coarse: float


def align(
    fixed: Side,
    moving: Side,
    model: Model = "rigid",
    *,
    seed: int = 0,
    levels: tuple[Level, ...] = LEVELS,
) -> Aligned:
    """Find the motion that makes two images tell most of each other.

    Args:
        fixed: Its points are taken to the moving image.
        moving: The other image.
        model: Freedom of the last two levels; the earlier ones are rigid.
        seed: Decides the points that are compared.
        levels: From coarse to fine.
    """
    generator = torch.Generator().manual_seed(seed)
    rigid = Motions.of("rigid", fixed.centre, fixed.radius_mm)
    free = Motions.of(model, fixed.centre, fixed.radius_mm)
    start, scores = look(fixed, moving, generator, rigid)
    coarse = 0.0
    found: Ascended | None = None
    for number, level in enumerate(levels):
        if found is not None:
            start = _different(found, fixed, level.climbers)
        late = number >= len(levels) - 2
        found = climb(
            fixed, moving, start[: level.climbers], level, generator, free if late else rigid
        )
        coarse = coarse or float(found.found.score.max())
    assert found is not None
    best = int(found.found.score.argmax())
    return Aligned(
        matrix=found.matrices[best],
        score=float(found.found.score[best]),
        information=float(found.found.information[best]),
        overlap=float(found.found.overlap[best]),
        chance=float(scores.median()),
        coarse=coarse,
    )


def climb(
    fixed: Side,
    moving: Side,
    start: torch.Tensor,
    level: Level,
    generator: torch.Generator,
    motions: Motions,
) -> Ascended:
    """Climb from poses (K, 4, 4) at one level."""
    voxel_mm = level.voxel * fixed.unit_mm
    points = fixed.points(level.samples, generator)[None]
    return ascend(
        Objective.between(fixed, moving, motions, points, voxel_mm),
        start,
        steps=level.steps,
        first_mm=level.first * voxel_mm,
        last_mm=level.last * voxel_mm,
    )


def _different(found: Ascended, fixed: Side, number: int) -> torch.Tensor:
    best = found.best(len(found.matrices))
    few = fixed.shown[:: max(1, len(fixed.shown) // 100)]
    return best[apart(best, few, least_mm=DIFFERENT * fixed.unit_mm, number=number)]
