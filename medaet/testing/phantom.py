"""Small synthetic CT and MR series with known answers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from medaet.dicom.uid import IMPLEMENTATION_CLASS_UID, derived_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def write_series(  # noqa: PLR0913 -- each keyword is one attribute of the series a test may vary
    folder: Path,
    *,
    modality: str = "CT",
    shape: tuple[int, int, int] = (8, 16, 16),
    spacing_mm: tuple[float, float, float] = (2.0, 1.0, 1.0),
    orientation: Sequence[float] = AXIAL,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    body_part: str = "CHEST",
    voxels: NDArray[np.int16] | None = None,
    seed: int = 0,
) -> list[Path]:
    """Write one series, a file for each slice.

    Args:
        folder: Made when it does not exist.
        modality: "CT" or "MR".
        shape: (slices, rows, columns).
        spacing_mm: Between slices, rows and columns, in mm.
        orientation: Image Orientation (Patient); slices follow row x column.
        origin: Image Position (Patient) of the first slice, in mm, LPS+.
        body_part: Body Part Examined; empty leaves the attribute out.
        voxels: Values of the given shape after the modality LUT; None for noise made from `seed`.
        seed: Decides the UIDs and the noise: the same seed gives the same bytes.

    Returns:
        The files, in slice order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = voxels if voxels is not None else _noise(shape, seed)
    normal = np.cross(orientation[:3], orientation[3:])
    paths = []
    for number, plane in enumerate(values):
        position = np.asarray(origin) + normal * spacing_mm[0] * number
        dataset = _header(modality, body_part, f"{modality} {seed}")
        dataset.SOPInstanceUID = derived_uid("phantom", modality, str(seed), str(number))
        dataset.InstanceNumber = number + 1
        dataset.ImagePositionPatient = [f"{value:.6g}" for value in position]
        dataset.ImageOrientationPatient = [f"{value:.10g}" for value in orientation]
        dataset.PixelSpacing = [spacing_mm[1], spacing_mm[2]]
        dataset.SliceThickness = spacing_mm[0]
        _put_pixels(dataset, plane)
        paths.append(folder / f"{number + 1:04}.dcm")
        _save(dataset, paths[-1])
    return paths


def _noise(shape: tuple[int, int, int], seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-1000, 1000, shape, dtype=np.int16)


def _header(modality: str, body_part: str, name: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if modality == "CT" else "M"]
    dataset.SOPClassUID = str(CTImageStorage if modality == "CT" else MRImageStorage)
    dataset.StudyInstanceUID = derived_uid("phantom study", name)
    dataset.SeriesInstanceUID = derived_uid("phantom series", name)
    dataset.FrameOfReferenceUID = derived_uid("phantom frame", name)
    dataset.Modality = modality
    dataset.Manufacturer = "MedAET"
    dataset.PatientName = "Phantom^Test"
    dataset.PatientID = "PHANTOM"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.ReferringPhysicianName = ""
    dataset.AccessionNumber = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.AcquisitionNumber = 1
    dataset.PositionReferenceIndicator = ""
    dataset.PatientPosition = "HFS"
    dataset.StudyDescription = "Phantom"
    dataset.SeriesDescription = "Phantom"
    if body_part:
        dataset.BodyPartExamined = body_part
    for keyword in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{keyword}Date", "20260101")
        setattr(dataset, f"{keyword}Time", "120000")
    if modality == "CT":
        dataset.KVP = "120"
        dataset.RescaleType = "HU"
    else:
        dataset.ScanningSequence = "SE"
        dataset.SequenceVariant = "NONE"
        dataset.ScanOptions = ""
        dataset.MRAcquisitionType = "2D"
        dataset.RepetitionTime = "500"
        dataset.EchoTime = "10"
        dataset.EchoTrainLength = "1"
    return dataset


def _put_pixels(dataset: Dataset, plane: NDArray[np.int16]) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = plane.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept = "0"
    dataset.RescaleSlope = "1"
    dataset.PixelData = plane.astype("<i2").tobytes()


def _save(dataset: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)
