"""Bone around a brain, and the space within it: on CT, by thresholds, distances and connected parts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medaet.dicom.volume import Volume

BONE_HU = 250.0
TISSUE_HU = (-20.0, 120.0)
"""Brain, blood and fluid; air and fat lie below, bone above."""

SMOOTHING_MM = 0.7
SKULL_MM = 25.0
"""Bone farther from the brain is jaw, neck or face."""

GROWN_MM = 6.0
"""As far as the space within the skull may reach beyond the brain, on a way that no bone bars: the fluid over it."""

BARRIER_MM = 3.0
"""Gaps of the bone up to about twice this are closed before the space grows."""

SMALLEST_PART = 0.02
"""Of the largest part of the bone; smaller ones are calcifications and noise."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What CT shows around a brain, on the CT's grid (slice, row, column).

    Attributes:
        skull: Bone near the brain.
        inside: The space within it.
        brain_in_bone: Share of the brain's inner part that is bone on CT: near 0 when both images are registered.
    """

    skull: Mask
    inside: Mask
    brain_in_bone: float

    @classmethod
    def of(cls, ct: Volume, brain: Mask) -> "Surroundings":
        """Look around a brain; without one nothing is found."""
        skull, inside = np.zeros_like(brain), np.zeros_like(brain)
        box = _around(brain, ct.spacing_mm)
        if box is None:
            return cls(skull, inside, 0.0)
        values = np.asarray(ct.voxels[box], dtype=np.float32)
        values = ndimage.gaussian_filter(values, [SMOOTHING_MM / one for one in ct.spacing_mm])
        near, within = brain[box], _distance(~brain[box], ct.spacing_mm)
        bone = _large_parts((values > BONE_HU) & (within <= SKULL_MM))
        skull[box] = bone
        inside[box] = _inside(values, bone, near, ct.spacing_mm)
        return cls(skull, inside, float((bone & near).sum() / near.sum()))


def _inside(
    values: NDArray[np.float32],
    bone: Mask,
    brain: Mask,
    spacing_mm: tuple[float, float, float],
) -> Mask:
    """Grow a brain as far as tissue reaches and bone lets it."""
    barrier = _closed(bone, spacing_mm)
    low, high = TISSUE_HU
    tissue = (values > low) & (values < high) & ~barrier
    grown = _grown(brain & ~barrier, tissue, spacing_mm)
    filled = ndimage.binary_fill_holes(grown | (brain & ~bone))
    return np.asarray(filled & ~bone)


def _grown(start: Mask, within: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Grow a mask by steps of a voxel in its planes, and to the neighbouring planes as often as they are thick."""
    between, step = spacing_mm[0], min(spacing_mm[1:])
    whole = ndimage.generate_binary_structure(3, 1)
    plane = whole.copy()
    plane[[0, 2]] = False
    grown = start
    for number in range(1, round(GROWN_MM / step) + 1):
        is_due = number * step // between > (number - 1) * step // between
        reached = ndimage.binary_dilation(grown, whole if is_due else plane)
        grown = grown | (reached & within)
    return grown


def _closed(bone: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Close gaps by distances: those of a dilation, and back."""
    grown = _distance(~bone, spacing_mm) <= BARRIER_MM
    return np.asarray(_distance(grown, spacing_mm) > BARRIER_MM) | bone


def _large_parts(mask: Mask) -> Mask:
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= SMALLEST_PART * sizes.max())[labels] & mask)


def _distance(mask: Mask, spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """Return how far each voxel of a mask lies from the nearest one outside of it, in mm."""
    return np.asarray(ndimage.distance_transform_edt(mask, spacing_mm), dtype=np.float32)


def _around(
    brain: Mask, spacing_mm: tuple[float, float, float]
) -> tuple[slice, slice, slice] | None:
    """Return the box of a brain, grown by as much as is looked at around it; None without one."""
    found = ndimage.find_objects(brain.astype(np.uint8))
    if not found:
        return None
    grown = [
        slice(
            max(0, one.start - round((SKULL_MM + BARRIER_MM) / step)),
            min(length, one.stop + round((SKULL_MM + BARRIER_MM) / step)),
        )
        for one, step, length in zip(found[0], spacing_mm, brain.shape, strict=True)
    ]
    return grown[0], grown[1], grown[2]
