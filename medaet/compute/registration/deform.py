"""Deformable registration: a free-form deformation before the affine motion, from coarse nodes to fine ones."""

from dataclasses import dataclass

import torch

from medaet.compute.registration.lattice import Lattice, Warp
from medaet.compute.registration.motion import Motions
from medaet.compute.registration.objective import Objective
from medaet.compute.registration.side import Side


@dataclass(frozen=True, slots=True)
class Stage:
    """One fineness of the nodes.

    Attributes:
        node: Distance between nodes, in units of the coarsest level of rigid registration.
        voxel: Size of the images' voxels, in the same.
        samples: Points compared.
        steps: Steps of the descent.
        rate: Length of its first steps, in the same units.
    """

    node: float
    voxel: float
    samples: int
    steps: int
    rate: float


STAGES = (
    Stage(node=4.0, voxel=0.5, samples=15_000, steps=50, rate=0.06),
    Stage(node=2.0, voxel=0.25, samples=25_000, steps=60, rate=0.04),
)
STIFFNESS = 3.0
"""What `Lattice.bending` costs against normalised mutual information. A tenth lets noise fold the image, ten times as
much makes the deformation stiffer than a brain."""


def deform(fixed: Side, moving: Side, matrix: torch.Tensor, *, seed: int) -> Warp:
    """Find a smooth deformation of the fixed image's space that makes the images agree better still.

    Args:
        fixed: Its points are displaced, then taken to the moving image.
        moving: The other image.
        matrix: (4, 4), the affine motion after the displacements.
        seed: Decides the points that are compared.

    Source:
        D. Rueckert et al., IEEE Transactions on Medical Imaging 18 (1999) 712.
    """
    generator = torch.Generator().manual_seed(seed)
    device = fixed.image.voxels.device
    lattice = Lattice.over(fixed.shown, STAGES[0].node * fixed.unit_mm, device)
    for number, stage in enumerate(STAGES):
        lattice = lattice if number == 0 else lattice.finer()
        _descend(fixed, moving, matrix, lattice, stage, generator)
    return lattice.warp()


def _descend(
    fixed: Side,
    moving: Side,
    matrix: torch.Tensor,
    lattice: Lattice,
    stage: Stage,
    generator: torch.Generator,
) -> None:
    """Move the nodes of a lattice, by Adam with a rate that falls to nothing."""
    lattice.nodes.requires_grad = True
    rate = stage.rate * fixed.unit_mm
    descent = torch.optim.Adam([lattice.nodes], lr=rate, betas=(0.8, 0.95))
    motions = Motions.of("shift", fixed.centre, fixed.radius_mm)
    voxel_mm = stage.voxel * fixed.unit_mm
    for step in range(stage.steps):
        for group in descent.param_groups:
            group["lr"] = rate * (1 - step / stage.steps)
        points = fixed.points(stage.samples, generator)
        moved = lattice.warp()(points)
        objective = Objective.between(
            fixed, moving, motions, points[None], voxel_mm, moved=moved.detach()[None]
        )
        pulls = objective.pulls(matrix)
        descent.zero_grad()
        loss = STIFFNESS * lattice.bending() - (moved * pulls).sum()
        torch.autograd.backward(loss)
        descent.step()
    lattice.nodes.requires_grad = False
