"""A CT to go with the bundled brain MR: made from it, turned and moved, so that there is something to register.

It is synthetic, and says so in its description. No pair of a real CT and MR of one head may be shipped.
"""

from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from scipy import ndimage

from medaet.dicom.uid import derived_uid
from medaet.dicom.volume import Volume, read_volume
from medaet.testing.ct_like import AIR_HU, ct_like
from medaet.testing.phantom import write_series

SPACING_MM = (4.0, 1.0, 1.0)
TURN_DEGREES = (6.0, -4.0, 9.0)
SHIFT_MM = (7.0, -12.0, 10.0)
DESCRIPTION = "Synthetic CT, made from the MR"

_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientIdentityRemoved")


def write_head_ct(mr_paths: list[Path], folder: Path) -> list[Path]:
    """Write the CT as a study of its own, taken twenty minutes after the MR.

    Args:
        mr_paths: The MR, as `write_scan` wrote it.
        folder: Made when it does not exist.

    Returns:
        The files, in slice order.
    """
    source = pydicom.dcmread(mr_paths[0], stop_before_pixels=True)
    ct = _moved(read_volume(mr_paths))

    def change(dataset: Dataset, number: int) -> None:
        for keyword in _PATIENT:
            setattr(dataset, keyword, source[keyword].value)
        dataset.StudyInstanceUID = derived_uid("demo", "head CT study")
        dataset.SeriesInstanceUID = derived_uid("demo", "head CT series")
        dataset.FrameOfReferenceUID = derived_uid("demo", "head CT frame")
        dataset.SOPInstanceUID = derived_uid("demo", "head CT", str(number))
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        dataset.StudyDescription = dataset.SeriesDescription = DESCRIPTION
        for what in ("Study", "Series", "Acquisition", "Content"):
            setattr(dataset, f"{what}Date", source.StudyDate)
            setattr(dataset, f"{what}Time", "122000")

    return write_series(
        folder,
        modality="CT",
        spacing_mm=SPACING_MM,
        orientation=[float(one) for one in (ct.affine[:3, :2] / SPACING_MM[:0:-1]).T.ravel()],
        origin=[float(one) for one in ct.affine[:3, 3]],
        body_part="HEAD",
        voxels=np.asarray(ct.voxels, dtype=np.int16),
        change=change,
    )


def _moved(mr: Volume) -> Volume:
    """Make the image, on a grid of its own, and lay it elsewhere."""
    ratio = np.array(SPACING_MM) / mr.spacing_mm
    shape = np.floor((np.array(mr.voxels.shape) - 1) / ratio).astype(int) + 1
    voxels = ndimage.affine_transform(
        ct_like(mr).astype(np.float32), ratio, output_shape=tuple(shape), order=1, cval=AIR_HU
    )
    affine = mr.affine.copy()
    affine[:3, :3] *= ratio[::-1]
    return Volume(np.rint(voxels).astype(np.int16), _motion() @ affine, "CT")


def _motion() -> NDArray[np.float64]:
    """Return turns about the three axes, then a shift: (4, 4), mm."""
    matrix = np.eye(4)
    for axis, degrees in enumerate(TURN_DEGREES):
        one, other = [place for place in range(3) if place != axis]
        turn = np.eye(4)
        angle = np.deg2rad(degrees)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[other, one] = np.sin(angle)
        turn[one, other] = -np.sin(angle)
        matrix = turn @ matrix
    matrix[:3, 3] = SHIFT_MM
    return matrix
