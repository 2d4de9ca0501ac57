"""RT Structure Sets and Segmentations that refer to a series, for tests of analyses that take them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, RTStructureSetStorage

from medaet.dicom.codes import MORPHOLOGIC_ABNORMALITY, NEOPLASM, Code
from medaet.dicom.decimal_string import decimal_string
from medaet.dicom.uid import derived_uid

Contour = Sequence[tuple[float, float, float]]


def write_structures(
    path: Path,
    images: Sequence[Path],
    contours: Mapping[str, Iterable[Contour]],
    *,
    interpreted: str = "GTV",
    refers: bool = True,
) -> Path:
    """Write an RT Structure Set.

    Args:
        path: Where to.
        images: Files of the series it refers to, at least one.
        contours: Closed contours of each ROI by its name, points in mm, LPS+.
        interpreted: RT ROI Interpreted Type of all of them.
        refers: Whether it says which series it refers to.

    Returns:
        The path.
    """
    image = pydicom.dcmread(images[0], stop_before_pixels=True)
    dataset = _shared(image, "RTSTRUCT", RTStructureSetStorage)
    dataset.StructureSetLabel = "TEST"
    frame = Dataset()
    frame.FrameOfReferenceUID = image.FrameOfReferenceUID
    if refers:
        study, series = Dataset(), Dataset()
        series.SeriesInstanceUID = image.SeriesInstanceUID
        study.RTReferencedSeriesSequence = [series]
        frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    rois = [_roi(number, name, image) for number, name in enumerate(contours, 1)]
    dataset.StructureSetROISequence = rois
    dataset.ROIContourSequence = [
        _drawn(number, some) for number, some in enumerate(contours.values(), 1)
    ]
    dataset.RTROIObservationsSequence = [_observed(roi.ROINumber, interpreted) for roi in rois]
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_segmentation(
    path: Path,
    images: Sequence[Path],
    masks: Mapping[str, NDArray[np.bool_]],
    *,
    kind: str = "BINARY",
    code: Code = NEOPLASM,
) -> Path:
    """Write a Segmentation.

    Args:
        path: Where to.
        images: Files of the series it refers to, in the order of the slices of the masks.
        masks: Boolean (slice, row, column) by label; overlapping ones only for BINARY and FRACTIONAL.
        kind: "BINARY", "FRACTIONAL" or "LABELMAP".
        code: Type of all segments.

    Returns:
        The path.
    """
    sources = [pydicom.dcmread(one) for one in images]
    coded = highdicom.sr.CodedConcept(code.value, code.scheme, code.meaning)
    category = highdicom.sr.CodedConcept(
        MORPHOLOGIC_ABNORMALITY.value,
        MORPHOLOGIC_ABNORMALITY.scheme,
        MORPHOLOGIC_ABNORMALITY.meaning,
    )
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=category,
            segmented_property_type=coded,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, label in enumerate(masks, 1)
    ]
    pixels = np.stack(list(masks.values()), axis=-1)
    numbers = {"LABELMAP": (pixels * np.arange(1, len(masks) + 1)).max(axis=-1).astype(np.uint8)}
    uid = derived_uid("phantom segmentation", sources[0].SeriesInstanceUID, kind, *masks)
    dataset: Dataset = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=numbers.get(
            kind, pixels.astype(np.float32 if kind == "FRACTIONAL" else np.uint8)
        ),
        segmentation_type=highdicom.seg.SegmentationTypeValues[kind],
        segment_descriptions=descriptions,
        series_instance_uid=derived_uid(uid, "series"),
        series_number=100,
        sop_instance_uid=uid,
        instance_number=1,
        manufacturer="MedAET",
        manufacturer_model_name="Phantom",
        software_versions="1",
        device_serial_number="1",
    )
    dataset.save_as(path)
    return path


def _shared(image: Dataset, modality: str, sop_class: UID) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
    ):
        setattr(dataset, keyword, image.get(keyword))
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = derived_uid("phantom drawing", image.SeriesInstanceUID, modality)
    dataset.SeriesInstanceUID = derived_uid("phantom drawings", image.SeriesInstanceUID, modality)
    dataset.Modality = modality
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _roi(number: int, name: str, image: Dataset) -> Dataset:
    roi = Dataset()
    roi.ROINumber = number
    roi.ReferencedFrameOfReferenceUID = image.FrameOfReferenceUID
    roi.ROIName = name
    roi.ROIGenerationAlgorithm = "MANUAL"
    return roi


def _drawn(number: int, contours: Iterable[Contour]) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = number
    item.ContourSequence = []
    for points in contours:
        contour = Dataset()
        contour.ContourGeometricType = "CLOSED_PLANAR"
        contour.NumberOfContourPoints = len(points)
        contour.ContourData = [decimal_string(one) for point in points for one in point]
        item.ContourSequence.append(contour)
    return item


def _observed(number: int, interpreted: str) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.RTROIInterpretedType = interpreted
    return item
