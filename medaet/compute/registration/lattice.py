"""A free-form deformation: displacements spread smoothly from the nodes of a lattice (cubic B-splines)."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from medaet.plugin.registration import Deformation

SUBDIVISIONS = 1
MARGIN = 2
"""Nodes beyond what is to be deformed, on every side: each point lies among four nodes along each axis."""
_SPLINE = (0.125, 0.5, 0.75, 0.5, 0.125)
"""How a cubic B-spline is made of ones half as wide."""


class Lattice:
    """Nodes that carry displacements, and the grid of displacements that follows from them.

    Args:
        first: (3,), float64, position of the first node, mm.
        shape: Number of nodes along (x, y, z).
        spacing_mm: Distance between nodes.
        device: Where to compute.
        nodes: (3, z, y, x), mm; none displaced when None.
    """

    def __init__(
        self,
        first: torch.Tensor,
        shape: tuple[int, int, int],
        spacing_mm: float,
        device: torch.device,
        nodes: torch.Tensor | None = None,
    ) -> None:
        self.first = first
        self.shape = shape
        self.spacing_mm = spacing_mm
        self.nodes = torch.zeros(3, *shape[::-1], device=device) if nodes is None else nodes

    @classmethod
    def over(cls, points: torch.Tensor, spacing_mm: float, device: torch.device) -> "Lattice":
        """Lay nodes over points (N, 3), mm."""
        low, high = points.double().amin(0).cpu(), points.double().amax(0).cpu()
        counts = torch.ceil((high - low) / spacing_mm).long() + 1 + 2 * MARGIN
        shape = (int(counts[0]), int(counts[1]), int(counts[2]))
        return cls(low - MARGIN * spacing_mm, shape, spacing_mm, device)

    def finer(self) -> "Lattice":
        """Return the same deformation on nodes half as far apart."""
        nodes = _subdivided(self.nodes.detach())
        shape = (int(nodes.shape[3]), int(nodes.shape[2]), int(nodes.shape[1]))
        half = self.spacing_mm / 2
        return Lattice(self.first + half, shape, half, nodes.device, nodes)

    def warp(self) -> "Warp":
        """Return the displacements on a grid twice as fine."""
        field, first, spacing = self.nodes, self.first, self.spacing_mm
        for _ in range(SUBDIVISIONS):
            field = _subdivided(field)
            spacing /= 2
            first = first + spacing
        affine = torch.diag(torch.tensor([spacing, spacing, spacing, 1.0], dtype=torch.float64))
        affine[:3, 3] = first
        # The limit of subdivision: the weights of a cubic B-spline at its own node and at its neighbours.
        for axis in (1, 2, 3):
            field = _weighted(field, axis)
        affine[:3, 3] += spacing
        return Warp(field, affine)

    def bending(self) -> torch.Tensor:
        """Return the mean square of the nodes' second differences over the square of their distance; without unit."""
        total = self.nodes.new_zeros(())
        for axis in (1, 2, 3):
            total = total + torch.diff(self.nodes, n=2, dim=axis).square().mean()
            for other in range(axis + 1, 4):
                mixed = torch.diff(torch.diff(self.nodes, dim=axis), dim=other)
                total = total + 2 * mixed.square().mean()
        return total / self.spacing_mm**2


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """A grid of displacements, interpolated linearly; beyond it, what holds at its edge goes on.

    Attributes:
        field: (3, z, y, x), float32, mm along x, y and z.
        affine: (4, 4), float64; maps (x, y, z, 1) of the grid to mm, LPS+; its axes are the patient's.
    """

    field: torch.Tensor
    affine: torch.Tensor

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Displace points (N, 3), mm."""
        inverse = torch.linalg.inv(self.affine).to(points.device, points.dtype)
        index = points @ inverse[:3, :3].T + inverse[:3, 3]
        size = torch.tensor(self.field.shape[:0:-1], device=points.device)
        place = (2 * index / (size - 1) - 1)[None, None, None]
        found = functional.grid_sample(
            self.field[None].to(points.dtype), place, align_corners=True, padding_mode="border"
        )
        return points + found[0, :, 0, 0].T

    def least_jacobian(self) -> float:
        """Return the least local change of volume; not positive where the deformation folds."""
        spacing = float(self.affine[0, 0])
        shape = [length - 1 for length in self.field.shape[1:]]
        slopes = [torch.diff(self.field, dim=axis) / spacing for axis in (3, 2, 1)]
        rows = torch.stack([one[:, : shape[0], : shape[1], : shape[2]] for one in slopes])
        matrices = rows.permute(2, 3, 4, 0, 1) + torch.eye(3, device=rows.device)
        return float(torch.linalg.det(matrices).min())

    def deformation(self) -> Deformation:
        """Return the grid as findings keep it."""
        vectors = self.field.permute(1, 2, 3, 0).contiguous().cpu().numpy()
        return Deformation(vectors, self.affine.numpy())

    @classmethod
    def of(cls, deformation: Deformation, device: str | torch.device) -> "Warp":
        """Copy a deformation to a device."""
        field = torch.from_numpy(deformation.vectors.copy()).permute(3, 0, 1, 2)
        return cls(field.contiguous().to(device), torch.from_numpy(deformation.affine.copy()))


def _subdivided(field: torch.Tensor) -> torch.Tensor:
    """Put a node between every two, along all axes; the outermost become part of the margin and go."""
    for axis in (1, 2, 3):
        moved = field.movedim(axis, -1)
        flat = moved.reshape(-1, 1, moved.shape[-1])
        kernel = field.new_tensor(_SPLINE)[None, None]
        finer = functional.conv_transpose1d(flat, kernel, stride=2)[..., 3:-3]
        field = finer.reshape(*moved.shape[:-1], -1).movedim(-1, axis)
    return field


def _weighted(field: torch.Tensor, axis: int) -> torch.Tensor:
    length = field.shape[axis]
    before, here, after = (field.narrow(axis, start, length - 2) for start in range(3))
    return before / 6 + 2 * here / 3 + after / 6
