"""A series read from its files into one volume."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medaet.dicom.geometry import Plane, grid
from medaet.dicom.volume import Volume
from medaet.errors import GeometryError, InstanceError

INT16 = np.iinfo(np.int16)


def read_volume(paths: Sequence[Path]) -> Volume:
    """Read a classic CT or MR series.

    Args:
        paths: One Part 10 file for each slice, in any order.

    Returns:
        Voxels (slice, row, column) after the modality LUT: int16 when every value is a whole number that fits, else
        float32.

    Raises:
        GeometryError: the instances are not one regular stack of equal planes; the message names them.
        InstanceError: a file cannot be read or decoded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote values, which may be a patient's
        images = [_image(path) for path in paths]
    if not images:
        raise GeometryError("the series holds no image")
    _check_equal(images)
    stack = grid([_plane(image) for image in images])
    ordered = [images[i] for i in stack.order]
    return Volume(
        voxels=_voxels(ordered),
        affine=stack.affine,
        modality=str(ordered[0].Modality),
        sop_instance_uids=tuple(str(image.SOPInstanceUID) for image in ordered),
        frame_of_reference_uid=str(ordered[0].get("FrameOfReferenceUID", "")),
    )


def _image(path: Path) -> Dataset:
    try:
        image = pydicom.dcmread(path)
    except Exception as error:
        raise InstanceError(
            f"a file of the series cannot be read ({type(error).__name__}); send the series again"
        ) from error
    name = str(image.get("SOPInstanceUID", ""))
    if int(image.get("NumberOfFrames") or 1) > 1:
        raise GeometryError(
            f"SOP Instance UID {name} holds several frames; only single-frame CT and MR series "
            "are read"
        )
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "Rows",
        "Columns",
        "PixelData",
    ):
        if image.get(keyword) is None:
            raise GeometryError(
                f"SOP Instance UID {name} has no {keyword}; it is no plane of a volume"
            )
    return image


def _plane(image: Dataset) -> Plane:
    return Plane(
        sop_instance_uid=str(image.SOPInstanceUID),
        position=tuple(float(value) for value in image.ImagePositionPatient),
        orientation=tuple(float(value) for value in image.ImageOrientationPatient),
        pixel_spacing=tuple(float(value) for value in image.PixelSpacing),
        thickness_mm=float(image.get("SpacingBetweenSlices") or image.get("SliceThickness") or 1.0),
    )


def _check_equal(images: Sequence[Dataset]) -> None:
    first = images[0]
    for keyword in ("Rows", "Columns", "FrameOfReferenceUID", "Modality"):
        odd = [image for image in images if image.get(keyword) != first.get(keyword)]
        if odd:
            raise GeometryError(
                f"{keyword} differs within the series: {len(odd)} of {len(images)} instances, "
                f"the first is SOP Instance UID {odd[0].SOPInstanceUID}"
            )


def _voxels(images: Sequence[Dataset]) -> NDArray[np.int16] | NDArray[np.float32]:
    planes = [_modality_values(image) for image in images]
    whole = all(plane.dtype.kind in "iu" for plane in planes)
    if whole and all(INT16.min <= plane.min() and plane.max() <= INT16.max for plane in planes):
        return np.stack([plane.astype(np.int16) for plane in planes])
    return np.stack([plane.astype(np.float32) for plane in planes])


def _modality_values(image: Dataset) -> NDArray[np.int64] | NDArray[np.float64]:
    """Decode one plane and apply Rescale Slope and Intercept (PS3.3 §C.11.1)."""
    try:
        stored = image.pixel_array
    except Exception as error:
        raise InstanceError(
            f"the pixels of SOP Instance UID {image.SOPInstanceUID} cannot be decoded "
            f"({type(error).__name__}); `medaet doctor` lists the decoders"
        ) from error
    if stored.ndim != 2:
        raise GeometryError(f"SOP Instance UID {image.SOPInstanceUID} is not a greyscale image")
    slope = float(image.get("RescaleSlope") or 1)
    intercept = float(image.get("RescaleIntercept") or 0)
    if slope.is_integer() and intercept.is_integer() and stored.dtype.kind in "iu":
        return stored.astype(np.int64) * int(slope) + int(intercept)
    return stored.astype(np.float64) * slope + intercept
