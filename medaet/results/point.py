"""Points: a voxel of each structure on the slice where it is largest, for viewers that list only what they can draw."""

from dataclasses import dataclass

import numpy as np

from medaet.dicom.geometry import Plane
from medaet.dicom.volume import Volume
from medaet.plugin.segment import Segment


@dataclass(frozen=True, slots=True)
class Point:
    """A pixel of a stored slice.

    Attributes:
        plane: The slice.
        column: From 0 at the left.
        row: From 0 at the top.
    """

    plane: Plane
    column: int
    row: int

    @property
    def graphic_data(self) -> tuple[float, float]:
        """The centre of the pixel, column before row, in pixels from the corner of the image (PS3.3 §C.18.6.1.2)."""
        return self.column + 0.5, self.row + 0.5


def largest_plane(segment: Segment, volume: Volume) -> int | None:
    """Return which of the planes of a volume shows most of a segment; None when none shows any."""
    counts = segment.voxels.counts[np.asarray(volume.slices)]
    plane = int(counts.argmax()) if len(counts) else 0
    return plane if len(counts) and counts[plane] else None


def point_of(segment: Segment, volume: Volume) -> Point | None:
    """Return the voxel nearest to the middle of a segment on its largest plane; None when no plane shows any of it.

    The middle itself can lie outside, of a ring, say.
    """
    number = largest_plane(segment, volume)
    if number is None:
        return None
    mask = segment.voxels.plane(volume.slices[number])
    rows, columns = np.nonzero(mask)
    away = (rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2
    nearest = int(away.argmin())
    return Point(volume.planes[number], int(columns[nearest]), int(rows[nearest]))
