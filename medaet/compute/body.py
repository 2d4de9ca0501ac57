"""Where the patient is: a generous mask, so that windows of air around the body need no network."""

from itertools import pairwise

import torch

Box = tuple[slice, slice, slice]

SOLID_HU = -500.0
"""Above this is tissue, table or clothing; below are air and most of the lung, which the body encloses."""


def body(image: torch.Tensor, modality: str) -> torch.Tensor:
    """Mask the patient with everything that lies between two solid voxels along any axis.

    Lungs and bowel gas are inside even where a narrow field of view cuts the chest wall off on one side: front and
    back still enclose them. The mask errs towards too much.

    Args:
        image: (slice, row, column), HU on CT.
        modality: On "CT" a voxel is solid above -500 HU. Elsewhere values have no absolute meaning: only the lowest
            value itself is background, as where the skull or the surroundings were blanked.

    Returns:
        Boolean, of the shape of `image`, on its device.
    """
    solid = image > SOLID_HU if modality == "CT" else image > image.amin()
    inside = solid.clone()
    for axis in range(3):
        inside |= _between(solid, axis)
    return inside


def box(mask: torch.Tensor) -> Box | None:
    """Return the smallest box around a mask (slice, row, column); None around nothing."""
    found = []
    for axis in range(3):
        others = [one for one in range(3) if one != axis]
        hit = torch.nonzero(mask.any(dim=others[1]).any(dim=others[0]))
        if not len(hit):
            return None
        found.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return found[0], found[1], found[2]


def _between(solid: torch.Tensor, axis: int) -> torch.Tensor:
    """Fill from the first to the last solid voxel along an axis."""
    if axis == solid.ndim - 1:
        # neighbours in memory are joined plane by plane faster than one by one
        return _between(solid.transpose(-1, -2).contiguous(), axis - 1).transpose(-1, -2)
    if solid.device.type == "cpu":
        return _seen(solid, axis, range(solid.shape[axis])) & _seen(
            solid, axis, range(solid.shape[axis] - 1, -1, -1)
        )
    counted = solid.to(torch.uint8)
    seen = counted.cummax(axis).values
    ahead = counted.flip(axis).cummax(axis).values.flip(axis)
    return (seen & ahead).bool()


def _seen(solid: torch.Tensor, axis: int, order: range) -> torch.Tensor:
    """Mark what lies behind a solid voxel when planes are passed in some order."""
    seen = solid.clone()
    for before, now in pairwise(order):
        seen.select(axis, now).logical_or_(seen.select(axis, before))
    return seen
