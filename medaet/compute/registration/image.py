"""Images as registration sees them: voxels on a device, sampled anywhere in the patient with their gradient."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from medaet.dicom.volume import Volume

FEWEST_VOXELS = 8
"""An axis is never pooled to fewer."""

CT_OUTSIDE = -1000.0
"""HU of air."""


class Sampled(NamedTuple):
    """An image at some points.

    Attributes:
        values: (...), interpolated trilinearly.
        gradients: (..., 3), change of the value per mm along x, y and z.
        weights: (...), 1 inside the image, 0 outside, in between within a voxel of its edge.
    """

    values: torch.Tensor
    gradients: torch.Tensor
    weights: torch.Tensor


class Image:
    """Voxels in the patient.

    Args:
        voxels: (slice, row, column), on the device; at least one voxel along each axis.
        affine: (4, 4), float64, on the CPU; maps (column, row, slice, 1) to (x, y, z, 1) in mm, LPS+.
    """

    def __init__(self, voxels: torch.Tensor, affine: torch.Tensor) -> None:
        self.voxels = voxels.contiguous()
        self.affine = affine
        slices, rows, columns = voxels.shape
        device = voxels.device
        inverse = torch.linalg.inv(affine)
        self._turn = inverse[:3, :3].T.to(device, torch.float32)
        self._shift = inverse[:3, 3].to(device, torch.float32)
        self._size = torch.tensor([columns, rows, slices], device=device)
        self._strides = torch.tensor([1, columns, rows * columns], device=device)
        reach = self._strides * (self._size > 1)  # an axis of one voxel is its own neighbour
        corners = torch.tensor([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)])
        self._corners = (corners.to(device) * reach).sum(1)

    @classmethod
    def of(cls, volume: Volume, device: str | torch.device) -> "Image":
        """Copy a volume to a device, with padding turned into what lies outside of an image anyway."""
        voxels = np.array(volume.voxels)
        if volume.padding is not None:
            voxels[~volume.measured()] = outside(volume)
        return cls(torch.from_numpy(voxels).to(device), torch.from_numpy(volume.affine.copy()))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along (slice, row, column), in mm."""
        column, row, slices = self.affine[:3, :3].norm(dim=0).tolist()
        return slices, row, column

    @property
    def centre(self) -> torch.Tensor:
        """Middle of the image: (3,), float64, mm."""
        middle = (self._size.cpu().double() - 1) / 2
        return self.affine[:3, :3] @ middle + self.affine[:3, 3]

    def points(self, indices: torch.Tensor) -> torch.Tensor:
        """Place voxel indices, (..., 3) as (column, row, slice), in the patient: (..., 3), mm."""
        affine = self.affine.to(indices.device, torch.float32)
        return indices @ affine[:3, :3].T + affine[:3, 3]

    def sample(self, points: torch.Tensor) -> Sampled:
        """Look at the image at some points, (..., 3) in mm."""
        index = points @ self._turn + self._shift
        last = self._size - 1
        weights = (torch.minimum(index, last - index).amin(-1) + 1).clamp(0, 1)
        corner = torch.minimum(index.floor().clamp_min(0), (last - 1).clamp_min(0))
        part = (index - corner).clamp(0, 1)
        first = (corner.long() * self._strides).sum(-1, keepdim=True)
        found = self.voxels.view(-1).index_select(0, (first + self._corners).view(-1))
        value, gradient = _interpolated(found.view(*first.shape[:-1], 2, 2, 2).float(), part)
        return Sampled(value, gradient @ self._turn.T, weights)

    def pooled(self, spacing_mm: float) -> "Image":
        """Average neighbours until they are about so far apart along each axis, where they are nearer."""
        factors = [
            max(1, min(length // FEWEST_VOXELS, math.floor(spacing_mm / spacing + 0.5)))
            for length, spacing in zip(self.voxels.shape, self.spacing_mm, strict=True)
        ]
        if max(factors) == 1:
            return self
        pooled = functional.avg_pool3d(self.voxels.float()[None, None], factors)[0, 0]
        scale = torch.tensor(factors[::-1], dtype=torch.float64)
        affine = self.affine.clone()
        affine[:3, 3] += self.affine[:3, :3] @ ((scale - 1) / 2)
        affine[:3, :3] *= scale
        return Image(pooled, affine)


def outside(volume: Volume) -> float:
    """Return the value of what a scanner has not looked at: air on CT, the darkest voxel on MR."""
    if volume.modality == "CT":
        return CT_OUTSIDE
    values = volume.voxels if volume.padding is None else volume.voxels[volume.measured()]
    return float(values.min()) if values.size else 0.0


def _interpolated(cube: torch.Tensor, part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Interpolate between the corners of a voxel.

    Args:
        cube: (..., 2, 2, 2), values at the corners along (slice, row, column).
        part: (..., 3), place between them along (column, row, slice), from 0 to 1.

    Returns:
        The value (...), and its derivative (..., 3) along (column, row, slice).
    """
    x, y, z = part.unbind(-1)
    along_x = cube[..., 1] - cube[..., 0]
    square = cube[..., 0] + x[..., None, None] * along_x
    along_y = square[..., 1] - square[..., 0]
    line = square[..., 0] + y[..., None] * along_y
    along_x = along_x[..., 0] + y[..., None] * (along_x[..., 1] - along_x[..., 0])
    along_z = line[..., 1] - line[..., 0]
    value = line[..., 0] + z * along_z
    along_y = along_y[..., 0] + z * (along_y[..., 1] - along_y[..., 0])
    along_x = along_x[..., 0] + z * (along_x[..., 1] - along_x[..., 0])
    return value, torch.stack((along_x, along_y, along_z), -1)
