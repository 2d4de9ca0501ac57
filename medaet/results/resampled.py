"""Resampled series: an input on the grid of another, as a derived CT or MR series in the other's frame of reference."""

import copy
from collections.abc import Iterator, Mapping

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from medaet.dicom.codes import DEFORMED, SOURCE_FOR_PROCESSING, SPATIAL_RESAMPLING
from medaet.dicom.decimal_string import decimal_string, decimal_strings
from medaet.plugin.registration import Registration, Resampled
from medaet.results.algorithm import Algorithm
from medaet.results.header import (
    SERIES_NUMBERS,
    coded,
    complete,
    equipment,
    fitting,
    leave_side_open,
    put_body_part,
)
from medaet.results.multi_frame import references
from medaet.results.panel import MR_PERCENTILES, SOFT_TISSUE_WINDOW_HU
from medaet.results.references import put_common_references
from medaet.results.source import SourceSeries

STORED = (-32768, 32767)
SAME_PLACE_MM = 1e-3
_ACQUISITION = (  # noqa: SIM905 -- keywords read best as words
    "ScanningSequence SequenceVariant ScanOptions MRAcquisitionType RepetitionTime EchoTime "
    "EchoTrainLength InversionTime TriggerTime FlipAngle MagneticFieldStrength ImagingFrequency "
    "EchoNumbers NumberOfAverages KVP XRayTubeCurrent ExposureTime Exposure "
    "AcquisitionNumber AcquisitionDate AcquisitionTime"
).split()
"""How the source was acquired, as far as it is said in numbers and code strings."""

_REQUIRED: Mapping[str, Mapping[str, str | None]] = {
    "MR": {
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "",
        "RepetitionTime": None,
        "EchoTime": None,
        "EchoTrainLength": None,
        "AcquisitionNumber": None,
    },
    "CT": {"KVP": None, "AcquisitionNumber": None},
}
"""What must be there, and what stands for "not known": RM is research mode."""

_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


def resampled_series(
    one: Resampled,
    registration: Registration,
    fixed: SourceSeries,
    moving: SourceSeries,
    algorithm: Algorithm,
) -> Iterator[Dataset]:
    """Encode the slices of a resampled input.

    Place, study and frame of reference are those of the fixed series; how it was acquired is that of the moving one.

    Args:
        one: The values on the grid of the fixed series.
        registration: How they came there.
        fixed: The series whose grid they lie on.
        moving: The series whose values they are.
        algorithm: The run.

    Source:
        PS3.3 §A.3, §A.4, §C.7.6.1.1.3, §C.7.4.1.1.1.
    """
    slope, intercept = _line(one.voxels)
    template = _template(one, registration, fixed, moving, algorithm)
    positions = _positions(fixed)
    for number, plane in enumerate(one.voxels):
        dataset = Dataset()
        dataset.update(template)
        dataset.file_meta = copy.deepcopy(template.file_meta)
        dataset.SOPInstanceUID = algorithm.uid(
            "resampled", "instance", one.moving, one.fixed, str(number)
        )
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.InstanceNumber = number + 1
        dataset.ImagePositionPatient = list(positions[number])
        stored = np.rint((plane.astype(np.float64) - intercept) / slope).astype("<i2")
        dataset.PixelData = stored.tobytes()
        yield dataset


def _template(
    one: Resampled,
    registration: Registration,
    fixed: SourceSeries,
    moving: SourceSeries,
    algorithm: Algorithm,
) -> Dataset:
    """Return what all slices share: elements that are never changed, so that data sets may share them."""
    modality = moving.volume.modality
    dataset: Dataset = highdicom.base.SOPClass(
        study_instance_uid=str(fixed.first.StudyInstanceUID),
        series_instance_uid=algorithm.uid("resampled", "series", one.moving, one.fixed),
        series_number=SERIES_NUMBERS["resampled"],
        sop_instance_uid=algorithm.uid("resampled", "template"),
        sop_class_uid=CTImageStorage if modality == "CT" else MRImageStorage,
        instance_number=1,
        modality=modality,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **equipment(algorithm, fixed.first),
    )
    _put_acquisition(dataset, moving)
    _put_place(dataset, fixed)
    _put_pixels(dataset, one)
    _put_derivation(dataset, one, registration, moving)
    complete(dataset, fixed, algorithm, f"{one.moving} on {one.fixed}")
    put_body_part(dataset, moving.first)
    leave_side_open(dataset)
    put_common_references(dataset, (moving,), {})
    del dataset.SOPInstanceUID, dataset.InstanceNumber
    return dataset


def _put_acquisition(dataset: Dataset, moving: SourceSeries) -> None:
    for keyword in _ACQUISITION:
        if moving.first.get(keyword) not in (None, ""):
            dataset.add(moving.first[keyword])
    for keyword, unknown in _REQUIRED.get(moving.volume.modality, {}).items():
        if keyword not in dataset:
            setattr(dataset, keyword, unknown)
    values = [str(value) for value in moving.first.get("ImageType") or ()]
    third = values[2] if len(values) > 2 else "OTHER"
    if moving.volume.modality == "CT":
        third = "AXIAL"
    dataset.ImageType = ["DERIVED", "SECONDARY", third, "RESAMPLED"]


def _put_place(dataset: Dataset, fixed: SourceSeries) -> None:
    """Put what the planes of the fixed series share."""
    plane = fixed.volume.planes[0]
    for keyword, numbers in (
        ("ImageOrientationPatient", plane.orientation),
        ("PixelSpacing", plane.pixel_spacing),
    ):
        given = fixed.first.get(keyword)
        setattr(dataset, keyword, given or list(decimal_strings(numbers)))
    (distance,) = decimal_strings([fixed.slice_distance_mm])
    dataset.SliceThickness = dataset.SpacingBetweenSlices = distance
    dataset.FrameOfReferenceUID = fixed.frame_of_reference_uid
    dataset.PositionReferenceIndicator = str(fixed.first.get("PositionReferenceIndicator") or "")
    dataset.PatientPosition = str(fixed.first.get("PatientPosition") or "")


def _put_pixels(dataset: Dataset, one: Resampled) -> None:
    slope, intercept = _line(one.voxels)
    dataset.Rows, dataset.Columns = one.voxels.shape[1:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    if dataset.Modality == "CT":
        dataset.RescaleType = "HU"
        low, high = SOFT_TISSUE_WINDOW_HU
    else:
        low, high = np.percentile(one.voxels[:: max(1, len(one.voxels) // 32)], MR_PERCENTILES)
        high = max(high, low + 1)
    if dataset.Modality == "CT" or (slope, intercept) != (1.0, 0.0):
        dataset.RescaleIntercept = decimal_string(intercept)
        dataset.RescaleSlope = decimal_string(slope)
    dataset.WindowCenter = decimal_string(float(low + high) / 2)
    dataset.WindowWidth = decimal_string(float(high - low))


def _put_derivation(
    dataset: Dataset, one: Resampled, registration: Registration, moving: SourceSeries
) -> None:
    dataset.SourceImageSequence = references(moving)
    for item in dataset.SourceImageSequence:
        item.PurposeOfReferenceCodeSequence = [coded(SOURCE_FOR_PROCESSING)]
        item.SpatialLocationsPreserved = "NO"
    deformed = registration.deformation is not None
    dataset.DerivationCodeSequence = [
        coded(SPATIAL_RESAMPLING),
        *([coded(DEFORMED)] if deformed else []),
    ]
    dataset.DerivationDescription = fitting(
        f"{one.moving} resampled on the grid of {one.fixed} after {registration.model} "
        "registration, linear interpolation",
        moving.first,
        length=1024,
    )
    dataset.BurnedInAnnotation = "NO"
    for keyword in _LOSSY:
        if moving.first.get(keyword):
            dataset.add(moving.first[keyword])


def _positions(fixed: SourceSeries) -> list[tuple[str, ...]]:
    """Return Image Position (Patient) of each slice: digit by digit as its image says it, where it has one."""
    volume = fixed.volume
    given = dict(zip(volume.slices, volume.planes, strict=True))
    found = []
    for number in range(volume.voxels.shape[0]):
        place = volume.affine[:3, 3] + number * volume.affine[:3, 2]
        plane = given.get(number)
        is_there = plane is not None and np.allclose(plane.position, place, atol=SAME_PLACE_MM)
        found.append(
            fixed.position(plane) if plane and is_there else decimal_strings(place.tolist())
        )
    return found


def _line(voxels: NDArray[np.int16] | NDArray[np.float32]) -> tuple[float, float]:
    """Return slope and intercept that bring values into 16 bits, as decimal strings hold them."""
    if voxels.dtype == np.int16:
        return 1.0, 0.0
    low, high = float(voxels.min()), float(voxels.max())
    slope = float(decimal_string(max(high - low, 1e-6) / (STORED[1] - STORED[0])))
    return slope, float(decimal_string(low - slope * STORED[0]))
