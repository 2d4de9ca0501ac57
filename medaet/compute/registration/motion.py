"""Rigid and affine motions: their generators, their exponential, and what a matrix does in plain figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Model = Literal["shift", "rigid", "affine"]

_PAIRS = ((1, 2), (2, 0), (0, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Motions:
    """A family of motions of space around a centre.

    Each parameter is in mm: how far it moves a point at `radius_mm` from the centre.

    Attributes:
        generators: (P, 3, 4), float64: three translations, three rotations; for an affine family also three
            stretches and three shears.
        centre: (3,), float64, mm.
    """

    generators: torch.Tensor
    centre: torch.Tensor

    @classmethod
    def of(cls, model: Model, centre: torch.Tensor, radius_mm: float) -> "Motions":
        """Choose the family of a model."""
        found = [_generator({(axis, 3): 1.0}) for axis in range(3)]
        one = 1 / radius_mm
        if model != "shift":
            found += [
                _generator({(row, column): -one, (column, row): one}) for row, column in _PAIRS
            ]
        if model == "affine":
            found += [_generator({(axis, axis): one}) for axis in range(3)]
            found += [
                _generator({(row, column): one, (column, row): one}) for row, column in _PAIRS
            ]
        return cls(torch.stack(found), centre)

    def exponential(self, parameters: torch.Tensor) -> torch.Tensor:
        """Return the motions of parameters (K, P) as matrices (K, 4, 4), float64."""
        inner = torch.zeros(parameters.shape[0], 4, 4, dtype=torch.float64)
        inner[:, :3] = torch.einsum("kp,pij->kij", parameters.cpu().double(), self.generators)
        return shift(self.centre) @ torch.matrix_exp(inner) @ shift(-self.centre)


def shift(vector: torch.Tensor) -> torch.Tensor:
    """Return the translation by a vector (3,), mm, as a matrix (4, 4)."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = vector
    return matrix


def inverse(matrix: torch.Tensor) -> torch.Tensor:
    """Return the way back of a matrix (4, 4), whose last row is (0, 0, 0, 1) to the last digit."""
    back: torch.Tensor = torch.linalg.inv(matrix.double())
    back[3] = back.new_tensor([0, 0, 0, 1])
    return back


def rotations(vectors: Sequence[Sequence[float]]) -> torch.Tensor:
    """Return rotations about axes through the origin, by angles as long as the axes, in radians: (K, 4, 4)."""
    parameters = torch.zeros(len(vectors), 6)
    parameters[:, 3:] = torch.tensor(vectors)
    return Motions.of("rigid", torch.zeros(3, dtype=torch.float64), 1.0).exponential(parameters)


def angle_degrees(matrix: torch.Tensor) -> float:
    """Return the angle of the rotation nearest to a matrix (4, 4), in degrees."""
    left, _, right = torch.linalg.svd(matrix[:3, :3].double())
    cosine = (float(torch.trace(left @ right)) - 1) / 2
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def scales(matrix: torch.Tensor) -> tuple[float, float]:
    """Return the least and the largest factor by which a matrix (4, 4) stretches; negative when it mirrors."""
    factors = torch.linalg.svdvals(matrix[:3, :3].double()).tolist()
    sign = math.copysign(1.0, float(torch.linalg.det(matrix[:3, :3].double())))
    return sign * min(factors), sign * max(factors)


def apply(matrix: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Move points (N, 3), mm, by matrices (..., 4, 4): (..., N, 3) in the type of the points."""
    matrix = matrix.to(points.device, points.dtype)
    return points @ matrix[..., :3, :3].transpose(-1, -2) + matrix[..., None, :3, 3]


def distance_mm(one: torch.Tensor, other: torch.Tensor, points: torch.Tensor) -> float:
    """Return the mean distance between where two matrices (4, 4) move points (N, 3), in mm."""
    points = points.double()
    return float((apply(one, points) - apply(other, points)).norm(dim=-1).mean())


def _generator(entries: dict[tuple[int, int], float]) -> torch.Tensor:
    matrix = torch.zeros(3, 4, dtype=torch.float64)
    for place, value in entries.items():
        matrix[place] = value
    return matrix
