"""How well motions align two images, and which way each of them would align better."""

from typing import NamedTuple

import torch

from medaet.compute.registration.image import Image, Sampled
from medaet.compute.registration.intensity import Equalisation
from medaet.compute.registration.metric import BINS, Similarity, similarity
from medaet.compute.registration.motion import Motions, apply
from medaet.compute.registration.side import Side

LEAST_OVERLAP = 0.5
"""Share of the samples below which the score falls, lest images be pushed apart until little is left to disagree."""


class Evaluation(NamedTuple):
    """K motions, judged.

    Attributes:
        score: (K,), normalised mutual information, less what too little overlap costs.
        gradient: (K, P), float32 on the CPU: change of the score by each parameter of a further motion, per mm.
        information: (K,), mutual information in nat.
        overlap: (K,), share of the samples that lie inside the moving image.
    """

    score: torch.Tensor
    gradient: torch.Tensor
    information: torch.Tensor
    overlap: torch.Tensor


class Objective:
    """The agreement of samples of one image with another image.

    Args:
        points: (1 or K, N, 3), mm, what the motions move: where the fixed image was looked at, or, after a
            deformation, where that led.
        bins: (1 or K, N), what was seen there, as bin numbers.
        moving: The other image.
        equalisation: The other image's.
        motions: What may be done to the points.
    """

    def __init__(
        self,
        points: torch.Tensor,
        bins: torch.Tensor,
        moving: Image,
        equalisation: Equalisation,
        motions: Motions,
    ) -> None:
        self.motions = motions
        self._points = points
        self._bins = bins
        self._moving = moving
        self._equalisation = equalisation
        arms = points - motions.centre.to(points)
        self._arms = torch.cat((arms, torch.ones_like(arms[..., :1])), -1)
        self._generators = motions.generators.to(points).reshape(-1, 12)

    @classmethod
    def between(
        cls,
        fixed: Side,
        moving: Side,
        motions: Motions,
        points: torch.Tensor,
        spacing_mm: float,
        *,
        moved: torch.Tensor | None = None,
    ) -> "Objective":
        """Compare two images at one resolution.

        Args:
            fixed: One image.
            moving: The other.
            motions: What may be done.
            points: (1 or K, N, 3), mm, where the fixed image is looked at.
            spacing_mm: Voxel size of both.
            moved: Where a deformation takes these points before the motion; None for no deformation.
        """
        seen = fixed.at(spacing_mm).sample(points)
        values, _ = fixed.equalisation(seen.values)
        bins = (values * BINS).long().clamp(0, BINS - 1)
        there = points if moved is None else moved
        return cls(there, bins, moving.at(spacing_mm), moving.equalisation, motions)

    def __call__(self, matrices: torch.Tensor) -> Evaluation:
        """Judge motions (K, 4, 4) that take the points to the moving image."""
        found, seen, pulls = self._judged(matrices)
        moments = pulls.transpose(1, 2) @ self._arms
        gradient = moments.reshape(-1, 12) @ self._generators.T
        overlap = seen.weights.mean(-1)
        cost = (LEAST_OVERLAP - overlap).clamp_min(0).square() / LEAST_OVERLAP**2
        return Evaluation(
            (found.score - cost).cpu(), gradient.cpu(), found.information.cpu(), overlap.cpu()
        )

    def pulls(self, matrix: torch.Tensor) -> torch.Tensor:
        """Return the change of the score with each point, (N, 3), per mm, under one motion (4, 4)."""
        return self._judged(matrix[None])[2][0]

    def _judged(self, matrices: torch.Tensor) -> tuple[Similarity, Sampled, torch.Tensor]:
        seen = self._moving.sample(apply(matrices, self._points))
        values, rise = self._equalisation(seen.values)
        found = similarity(self._bins, values, seen.weights)
        pulls = seen.gradients * (found.slopes * rise)[..., None]
        # In the fixed image's frame, because a further motion comes before `matrices`.
        return found, seen, pulls @ matrices[:, :3, :3].to(pulls)
