"""Where the frames of a result lie: each on one plane of the source, pixel on voxel."""

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.volume import Volume
from medaet.errors import ProofError
from medaet.plugin.segment import Segment
from medaet.results.decoded import DecodedFrame
from medaet.results.original import Original

POSITION_TOLERANCE_MM = 1e-3

GRID_TOLERANCE = 0.25
"""Distance of a pixel from a voxel, in voxels: slices of real series wobble."""
HALF_A_SLICE = 0.5 + 1e-6


class Places:
    """The planes of the source, by the image and by the place in the patient that a frame names.

    Args:
        volume: The grid of the analysis.
        original: The source, read anew.
        shape: Rows and columns of the frames.
    """

    def __init__(self, volume: Volume, original: Original, shape: tuple[int, int]) -> None:
        if shape != volume.voxels.shape[1:]:
            raise ProofError(
                f"the frames have {shape[0]} x {shape[1]} pixels, the source has "
                f"{volume.voxels.shape[1]} x {volume.voxels.shape[2]}"
            )
        self._volume = volume
        self._original = original
        self._shape = shape
        self._inverse = np.linalg.inv(volume.affine)
        self._planes = {
            (plane.sop_instance_uid, plane.frame): number
            for number, plane in enumerate(volume.planes)
        }

    def of(self, frame: DecodedFrame) -> int:
        """Return the index of the source plane that a frame lies on, pixel on voxel.

        The map from pixels to voxels is linear, so that the corners speak for all.

        Raises:
            ProofError: it lies somewhere else, or names another image than the one there.
        """
        rows, columns = self._shape
        corners = np.array([[0, 0], [columns - 1, 0], [0, rows - 1], [columns - 1, rows - 1]])
        in_mm = frame.position + corners @ np.stack([frame.along_columns, frame.along_rows])
        index = in_mm @ self._inverse[:3, :3].T + self._inverse[:3, 3]
        self._check_pixels(frame, index[:, :2], corners)
        plane = self._planes.get(frame.source)
        if plane is None:
            raise ProofError(f"frame {frame.number} names an image that is not in its source")
        if np.abs(index[:, 2] - self._volume.slices[plane]).max() > self._tolerance():
            raise ProofError(
                f"frame {frame.number} names another source image than the one it lies on"
            )
        self._check_position(frame)
        return plane

    def centroid(self, segment: Segment) -> NDArray[np.float64]:
        """Return the centroid of a mask in mm, with slices where the source's files say."""
        total, points = np.zeros(3), 0
        for plane, place in zip(self._volume.planes, self._volume.slices, strict=True):
            if not segment.voxels.counts[place]:
                continue
            mask = segment.voxels.plane(place)
            name = (plane.sop_instance_uid, plane.frame)
            count, down, along = moments(mask)
            total += count * self._original.positions[name]
            total += along * self._original.along_columns[name]
            total += down * self._original.along_rows[name]
            points += count
        return total / max(points, 1)

    def _check_pixels(
        self, frame: DecodedFrame, found: NDArray[np.float64], corners: NDArray[np.int64]
    ) -> None:
        off = np.abs(found - corners).max()
        if off <= GRID_TOLERANCE:
            return
        nearest = np.rint(found)
        limits = np.array([self._shape[1], self._shape[0]])
        if ((nearest < 0) | (nearest >= limits)).any():
            raise ProofError(f"frame {frame.number} reaches out of the source")
        if np.abs(found - nearest).max() > GRID_TOLERANCE:
            raise ProofError(
                f"frame {frame.number} lies between the voxels of the source, "
                "or has another spacing"
            )
        raise ProofError(f"the pixels of frame {frame.number} lie on other voxels of the source")

    def _tolerance(self) -> float:
        """Return how far, in slices, a plane may lie from its slice: more where slices were resampled."""
        is_resampled = len(self._volume.planes) != self._volume.voxels.shape[0]
        return HALF_A_SLICE if is_resampled else GRID_TOLERANCE

    def _check_position(self, frame: DecodedFrame) -> None:
        away = float(np.linalg.norm(frame.position - self._original.positions[frame.source]))
        if away > POSITION_TOLERANCE_MM:
            raise ProofError(f"frame {frame.number} lies {away:.4f} mm away from its source image")


def moments(mask: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Return how many pixels are set, and the sums of their row and of their column numbers."""
    ones = mask.view(np.uint8)
    dtype = np.uint16 if max(mask.shape) < 65536 else np.uint32  # many times faster than 64 bits
    by_row = ones.sum(axis=1, dtype=dtype).astype(np.int64)
    by_column = ones.sum(axis=0, dtype=dtype).astype(np.int64)
    down = int(by_row @ np.arange(by_row.size))
    along = int(by_column @ np.arange(by_column.size))
    return int(by_row.sum()), down, along
