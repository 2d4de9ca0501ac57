"""A CT-like image made from a head MR: what CT would roughly show, with every structure exactly where the MR has it.

It is no CT. It is for tests and demonstrations that need two modalities of one head and the exact motion between them.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medaet.dicom.volume import Volume

AIR_HU, FLUID_HU, FAT_HU, BONE_HU = -1000.0, 5.0, -90.0, 900.0
TISSUE_HU = (20.0, 50.0)
"""From the darkest to the brightest tissue on T1: grey matter is denser on CT, but that is not told apart here."""

BRIGHT_PERCENTILE = 97.0
AIR_SHARE, DARK_SHARE, FAT_SHARE = 0.12, 0.3, 1.02
"""Of the intensity of bright tissue: below the first is air, below the second bone or fluid, above the third fat."""

SKIN_MM, SCALP_MM, SKULL_MM = 2.5, 12.0, 20.0
"""Depth below the skin down to which nothing is bone, bright is fat, dark is bone."""

CLOSING_MM = 4.0
SMOOTHING_MM = 0.7
LEAST_BONE_MM = 1.2
NOISE_HU = 12.0


def ct_like(volume: Volume, *, seed: int = 0) -> NDArray[np.int16]:
    """Return values in HU on the grid of a T1-weighted MR of a head, (slice, row, column)."""
    voxels = np.asarray(volume.voxels, dtype=np.float32)
    share = voxels / np.percentile(voxels[voxels > np.percentile(voxels, 50)], BRIGHT_PERCENTILE)
    head = _head(share > AIR_SHARE, volume.spacing_mm)
    depth = ndimage.distance_transform_edt(np.pad(head, 1), volume.spacing_mm)[1:-1, 1:-1, 1:-1]
    dark = head & (share < DARK_SHARE) & (depth > SKIN_MM)
    low, high = TISSUE_HU
    found = np.full(voxels.shape, AIR_HU, np.float32)
    found[head] = low + (high - low) * np.clip(share[head], 0, 1)
    found[dark] = FLUID_HU
    found[_smooth(dark & (depth < SKULL_MM), volume.spacing_mm)] = BONE_HU
    found[head & (share > FAT_SHARE) & (depth < SCALP_MM)] = FAT_HU
    smooth = ndimage.gaussian_filter(found, [SMOOTHING_MM / one for one in volume.spacing_mm])
    noise = np.random.default_rng(seed).normal(0, NOISE_HU, voxels.shape)
    return np.asarray(np.rint(np.clip(smooth + noise, -1024, 3071)), dtype=np.int16)


def _smooth(bone: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> NDArray[np.bool_]:
    """Take away what is thin: the furrows of the brain are as dark as bone."""
    sigma = [LEAST_BONE_MM / one for one in spacing_mm]
    return np.asarray(ndimage.gaussian_filter(bone.astype(np.float32), sigma) > 0.5)


def _head(mask: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> NDArray[np.bool_]:
    """Close and fill, slice by slice, what is brighter than air, and keep the largest part."""
    steps = max(1, round(CLOSING_MM / min(spacing_mm[1:])))
    plane = ndimage.generate_binary_structure(3, 1)
    plane[0] = plane[2] = False
    padded = np.pad(mask, ((0, 0), (steps, steps), (steps, steps)))
    closed = ndimage.binary_closing(padded, plane, iterations=steps)[:, steps:-steps, steps:-steps]
    labels, _ = ndimage.label(closed)
    largest = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    return np.stack([ndimage.binary_fill_holes(one) for one in largest])
