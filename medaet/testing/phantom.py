"""Small synthetic CT and MR series with known answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
)

from medaet.dicom.decimal_string import decimal_strings
from medaet.dicom.uid import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    derived_uid,
)

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)

ENCODERS = {RLELossless: "pydicom"}
"""Not pydicom's first choice: gdcm ends the process on images of some sizes."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How the voxels of a phantom are stored: stored = (voxel - intercept) / slope, which must come out whole.

    Attributes:
        bits_allocated: 8, 16 or 32.
        bits_stored: At most `bits_allocated`.
        transfer_syntax_uid: Any that pydicom can write: native, deflated, RLE, JPEG-LS or JPEG 2000, lossless.
    """

    slope: float = 1
    intercept: float = 0
    is_signed: bool = True
    bits_allocated: int = 16
    bits_stored: int = 16
    photometric_interpretation: str = "MONOCHROME2"
    transfer_syntax_uid: str = ExplicitVRLittleEndian

    @property
    def dtype(self) -> str:
        """The type of the stored values, as numpy names it."""
        order = ">" if not UID(self.transfer_syntax_uid).is_little_endian else "<"
        return f"{order}{'i' if self.is_signed else 'u'}{self.bits_allocated // 8}"


PLAIN = Storage()


def _unchanged(dataset: Dataset, number: int) -> None:
    """Leave an instance as it is."""


def write_series(  # noqa: PLR0913 -- each keyword is one attribute of the series a test may vary
    folder: Path,
    *,
    modality: str = "CT",
    shape: tuple[int, int, int] = (8, 16, 16),
    spacing_mm: tuple[float, float, float] = (2.0, 1.0, 1.0),
    orientation: Sequence[float] = AXIAL,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    body_part: str = "CHEST",
    voxels: NDArray[np.integer] | None = None,
    storage: Storage = PLAIN,
    change: Callable[[Dataset, int], None] = _unchanged,
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
        voxels: Values (slice, row, column) after the modality LUT, which then give the shape; None for noise.
        storage: How the voxels are stored.
        change: Called with each data set and its slice number, from 0, before it is written.
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
        dataset.ImagePositionPatient = list(decimal_strings(position))
        dataset.ImageOrientationPatient = list(decimal_strings(orientation))
        dataset.PixelSpacing = list(decimal_strings(spacing_mm[1:]))
        (dataset.SliceThickness,) = decimal_strings(spacing_mm[:1])
        _put_pixels(dataset, plane, storage)
        change(dataset, number)
        paths.append(folder / f"{number + 1:04}.dcm")
        save(dataset, paths[-1], UID(storage.transfer_syntax_uid))
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


def _put_pixels(dataset: Dataset, plane: NDArray[np.integer], storage: Storage) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = storage.photometric_interpretation
    dataset.Rows, dataset.Columns = plane.shape
    dataset.BitsAllocated = storage.bits_allocated
    dataset.BitsStored = storage.bits_stored
    dataset.HighBit = storage.bits_stored - 1
    dataset.PixelRepresentation = int(storage.is_signed)
    dataset.RescaleIntercept, dataset.RescaleSlope = decimal_strings(
        (storage.intercept, storage.slope)
    )
    stored = np.rint((plane - storage.intercept) / storage.slope).astype(storage.dtype)
    vr = "OB" if storage.bits_allocated == 8 else "OW"
    content = stored.tobytes()
    dataset.add_new("PixelData", vr, content + b"\0" * (len(content) % 2))


def save(dataset: Dataset, path: Path, syntax: UID) -> None:
    """Write a data set of native pixels as a Part 10 file in a transfer syntax."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian) if syntax.is_encapsulated else syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    dataset.file_meta = meta
    if syntax.is_encapsulated:
        plugin = ENCODERS.get(syntax, "")
        dataset.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)


def replace_pixels(path: Path, frame: bytes, transfer_syntax_uid: str) -> None:
    """Put a compressed frame in place of the pixels of a slice."""
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    dataset.save_as(path)
