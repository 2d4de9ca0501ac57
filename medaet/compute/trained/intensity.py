"""Voxel values as a network takes them."""

from dataclasses import dataclass

import torch

LOWEST, HIGHEST = 0.005, 0.995
MOST_SAMPLES = 2_000_000


@dataclass(frozen=True, slots=True)
class Intensity:
    """Maps the voxel values of a whole scan.

    Attributes:
        span: Values mapped to -1 and 1, those beyond clamped; None for z-scores after clamping to the 0.5 and 99.5
            percentiles of the scan.
    """

    span: tuple[float, float] | None

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Map (1, slice, row, column) or any other shape."""
        if self.span is not None:
            low, high = self.span
            return (image.clamp(low, high) - low) / (high - low) * 2 - 1
        # A strided sample of a large scan: percentiles of millions of voxels need not be of all of them.
        flat = image.flatten()
        sample = flat[:: max(1, flat.numel() // MOST_SAMPLES)].float()
        ends = torch.quantile(sample, torch.tensor((LOWEST, HIGHEST), device=image.device))
        clamped = image.clamp(float(ends[0]), float(ends[1]))
        return (clamped - clamped.mean()) / clamped.std().clamp(min=1e-6)
