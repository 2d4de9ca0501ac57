"""A volume: voxels with their place in the patient, read from one series."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One regular grid of voxels.

    Attributes:
        voxels: (slice, row, column), int16 or float32, values after the modality LUT (PS3.3 §C.11.1): HU on CT.
            Slices run along the normal, row cosine x column cosine.
        affine: (4, 4); maps (column, row, slice, 1) to patient coordinates (x, y, z, 1) in mm, LPS+.
        modality: "CT" or "MR".
        sop_instance_uids: SOP Instance UID of each slice, in slice order; empty inside a worker child.
        frame_of_reference_uid: What the coordinates are relative to; empty inside a worker child.

    Source:
        PS3.3 §C.7.6.2.1.1, equation C.7.6.2.1-1.
    """

    voxels: NDArray[np.int16] | NDArray[np.float32]
    affine: NDArray[np.float64]
    modality: str
    sop_instance_uids: tuple[str, ...] = ()
    frame_of_reference_uid: str = ""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along (slice, row, column) axes, in mm."""
        column, row, slices = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(slices), float(row), float(column)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000
