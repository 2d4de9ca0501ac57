"""Volumes on the grids of others, by way of a registration."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from medaet.compute.registration.image import outside
from medaet.compute.registration.lattice import Warp
from medaet.dicom.volume import Volume
from medaet.plugin.registration import Registration


def resampled(
    moving: Volume, fixed: Volume, registration: Registration, *, device: str = "cpu"
) -> Volume:
    """Show a volume on the grid of another.

    Args:
        moving: The volume to be shown.
        fixed: The volume whose grid counts.
        registration: From the moving to the fixed volume.
        device: Where to compute, in torch's spelling.

    Returns:
        Values interpolated linearly, rounded when the moving volume holds whole numbers. Where it has no voxel,
        CT is air and MR as dark as its darkest voxel.
    """
    dark = outside(moving)
    values = moving.voxels
    if moving.padding is not None:
        values = np.where(moving.measured(), values, values.dtype.type(dark))
    found = _on_grid(moving, values, fixed, registration, dark, device)
    voxels = np.rint(found).astype(np.int16) if moving.voxels.dtype == np.int16 else found
    return Volume(
        voxels, fixed.affine, moving.modality, frame_of_reference_uid=fixed.frame_of_reference_uid
    )


def carried(
    mask: NDArray[np.bool_],
    moving: Volume,
    fixed: Volume,
    registration: Registration,
    *,
    device: str = "cpu",
) -> NDArray[np.bool_]:
    """Show a mask on the moving volume's grid on the fixed one's: where it is at least half."""
    return _on_grid(moving, mask, fixed, registration, 0.0, device) >= 0.5


def _on_grid(
    moving: Volume,
    values: NDArray[np.generic],
    fixed: Volume,
    registration: Registration,
    beyond: float,
    device: str,
) -> NDArray[np.float32]:
    """Look at values on the moving volume's grid along each slice of the fixed one's."""
    image = torch.from_numpy(np.array(values, dtype=np.float32)).to(device)
    inverse = np.linalg.inv(moving.affine) @ np.linalg.inv(registration.matrix)
    to_index = torch.from_numpy(inverse).to(device)
    warp = None if registration.deformation is None else Warp.of(registration.deformation, device)
    result = np.empty(fixed.voxels.shape, np.float32)
    for number, plane in enumerate(result):
        points = _plane(fixed, number).to(device)
        if warp is not None:
            points = warp(points)
        place = points @ to_index[:3, :3].T + to_index[:3, 3]
        plane[:] = _looked_up(image, place, beyond).view(plane.shape).cpu().numpy()
    return result


def _plane(volume: Volume, number: int) -> torch.Tensor:
    """Return the voxel centres of a slice, row by row: (N, 3), float64, mm."""
    _, rows, columns = volume.voxels.shape
    row, column = np.indices((rows, columns)).reshape(2, -1)
    index = np.stack((column, row, np.full_like(row, number)), 1)
    return torch.from_numpy(index @ volume.affine[:3, :3].T + volume.affine[:3, 3])


def _looked_up(image: torch.Tensor, place: torch.Tensor, beyond: float) -> torch.Tensor:
    """Interpolate an image at voxel indices (N, 3) as (column, row, slice); up to half a voxel beyond its edge."""
    size = torch.tensor(image.shape[::-1], device=image.device)
    inside = ((place >= -0.5) & (place <= size - 0.5)).all(1)
    scaled = (2 * place / (size - 1).clamp_min(1) - 1).float()
    found = functional.grid_sample(
        image[None, None], scaled[None, None, None], align_corners=True, padding_mode="border"
    )[0, 0, 0, 0]
    return torch.where(inside, found, found.new_tensor(beyond))
