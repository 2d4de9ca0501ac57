"""The traditional way to find lungs on CT: threshold, connected components, morphology; what networks must beat."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medaet.dicom.volume import Volume

AIR_HU = -400
SMALLEST_ML = 100.0
CLOSING_MM = 5.0


def lungs(volume: Volume) -> NDArray[np.uint8]:
    """Label the lungs 1 on the volume's grid."""
    air: NDArray[np.bool_] = volume.voxels < np.int16(AIR_HU)
    parts, count = ndimage.label(air)
    sizes = np.bincount(parts.ravel(), minlength=count + 1) * volume.voxel_ml
    rims = (parts[:, 0], parts[:, -1], parts[:, :, 0], parts[:, :, -1])
    sizes[np.unique(np.concatenate([rim.ravel() for rim in rims]))] = (
        0  # the air around the patient
    )
    sizes[0] = 0
    largest = [one for one in np.argsort(sizes)[::-1][:2] if sizes[one] > SMALLEST_ML]
    steps = max(1, round(CLOSING_MM / volume.spacing_mm[1]))
    disc = np.hypot(*np.ogrid[-steps : steps + 1, -steps : steps + 1]) <= steps
    labels = np.zeros(parts.shape, np.uint8)
    for plane, target in zip(np.isin(parts, largest), labels, strict=True):
        closed = ndimage.binary_closing(np.pad(plane, steps), disc)[steps:-steps, steps:-steps]
        target[:] = ndimage.binary_fill_holes(closed)
    return labels
