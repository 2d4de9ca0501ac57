"""A volume: voxels with their place in the patient, read from one series."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.geometry import grid, named
from medaet.dicom.image import Image, read_image
from medaet.dicom.pixels import put_real, put_whole
from medaet.errors import GeometryError


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


def read_volume(paths: Sequence[Path]) -> Volume:
    """Read a classic CT or MR series, one single-frame instance for each slice.

    Values are what the scanner measured: padding is kept, and MONOCHROME1, which only says how to display them, is
    not inverted.

    Args:
        paths: One Part 10 file for each slice, in any order.

    Returns:
        Voxels are int16 when slopes and intercepts are whole numbers and every value fits, else float32.

    Raises:
        GeometryError: the instances are not one regular stack of equal planes; the message names them.
        InstanceError: a file cannot be read or decoded; the message names it.

    Source:
        PS3.3 §C.7.6.2, §C.11.1.
    """
    images = [read_image(path) for path in paths]
    _check_equal(images)
    stack = grid([image.plane for image in images])
    ordered = [images[i] for i in stack.order]
    return Volume(
        voxels=_voxels(ordered),
        affine=stack.affine,
        modality=ordered[0].modality,
        sop_instance_uids=tuple(image.plane.sop_instance_uid for image in ordered),
        frame_of_reference_uid=ordered[0].frame_of_reference_uid,
    )


_EQUAL: tuple[tuple[str, Callable[[Image], object]], ...] = (
    ("SeriesInstanceUID", lambda image: image.series_instance_uid),
    ("FrameOfReferenceUID", lambda image: image.frame_of_reference_uid),
    ("Modality", lambda image: image.modality),
    ("Rows x Columns", lambda image: (image.pixels.rows, image.pixels.columns)),
)


def _check_equal(images: Sequence[Image]) -> None:
    for what, value in _EQUAL:
        odd = [image.plane for image in images if value(image) != value(images[0])]
        if odd:
            raise GeometryError(
                f"{what} differs within the series: {len(odd)} of {len(images)} instances are not "
                f"like the first, {named(odd)}; send them as series of their own"
            )


def _voxels(images: Sequence[Image]) -> NDArray[np.int16] | NDArray[np.float32]:
    shape = (len(images), images[0].pixels.rows, images[0].pixels.columns)
    whole = np.empty(shape, np.int16)
    if all(put_whole(image, plane) for image, plane in zip(images, whole, strict=True)):
        return whole
    del whole
    real = np.empty(shape, np.float32)
    for image, plane in zip(images, real, strict=True):
        put_real(image, plane)
    return real
