"""Labels from SEG and RTSTRUCT objects, on the grid of the series they refer to."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, RTStructureSetStorage

from medaet import Findings, Segment
from medaet.codes import LEFT, LUNG
from medaet.compute.training.dicom_cases import find
from medaet.compute.training.dicom_labels import read_masks
from medaet.dicom.uid import derived_uid
from medaet.dicom.volume import Volume, read_volume
from medaet.errors import GeometryError
from medaet.testing.phantom import write_series
from medaet.testing.run import algorithm, encoded, source_of

Mask = NDArray[np.bool_]
SHAPE = (8, 16, 16)


def _series(folder: Path, seed: int = 1) -> list[Path]:
    return write_series(folder, shape=SHAPE, origin=(-5.0, 3.0, 10.0), seed=seed)


def _box(first_row: int = 2) -> Mask:
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[1:4, first_row:9, 3:12] = True
    return mask


def _write_seg(paths: list[Path], path: Path, mask: Mask, *, key: str, date: str) -> None:
    """Write a SEG as MedAET does; `key` decides its UIDs."""
    findings = Findings(segments=[Segment("Left lung", mask, LUNG, modifier=LEFT)])
    source = source_of(paths)
    with tempfile.TemporaryDirectory() as scratch:
        objects = encoded(findings, source, algorithm(instance_key=key), folder=Path(scratch))
        shutil.copyfile(next(one.path for one in objects if one.kind == "SEG"), path)
    dataset = dcmread(path)
    dataset.ContentDate = date
    dataset.SegmentSequence[0].TrackingUID = derived_uid("tracking", "left lung")
    dcmwrite(path, dataset)


def _write_rtstruct(paths: list[Path], path: Path, volume: Volume) -> None:
    """Write a square with a square hole on slice 2."""
    first = dcmread(paths[0], stop_before_pixels=True)
    dataset = Dataset()
    dataset.file_meta = first.file_meta
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(RTStructureSetStorage)
    dataset.SOPInstanceUID = UID(derived_uid("rt", "1"))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID, dataset.PatientID = first.StudyInstanceUID, first.PatientID
    dataset.SeriesInstanceUID = derived_uid("rt series", "1")
    dataset.Modality = "RTSTRUCT"
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = first.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    region = Dataset()
    region.ROINumber, region.ROIName = 7, "Left Lung"
    dataset.StructureSetROISequence = [region]
    contours = []
    for low, high in ((2.5, 10.5), (4.5, 6.5)):
        corners = [(low, low, 2, 1), (high, low, 2, 1), (high, high, 2, 1), (low, high, 2, 1)]
        contour = Dataset()
        contour.ContourGeometricType = "CLOSED_PLANAR"
        points = (volume.affine @ np.asarray(corners, dtype=float).T)[:3].T
        contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
        contours.append(contour)
    item = Dataset()
    item.ReferencedROINumber, item.ContourSequence = 7, contours
    dataset.ROIContourSequence = [item]
    dcmwrite(path, dataset, enforce_file_format=True)


def test_a_seg_is_found_by_the_series_it_refers_to_and_read_voxel_for_voxel(tmp_path: Path) -> None:
    paths = _series(tmp_path / "a")
    _series(tmp_path / "b", seed=2)
    _write_seg(paths, tmp_path / "seg.dcm", _box(), key="1", date="20260101")
    cases = {bool(case.labels): case for case in find(tmp_path)}
    masks = read_masks(cases[True].labels, read_volume(paths))
    assert np.array_equal(masks["left lung"], _box())
    assert len(cases) == 2
    assert cases[True].attributes["scanner"] == "MedAET"
    assert "PHANTOM" not in repr(cases)


def test_a_corrected_seg_takes_the_place_of_the_one_it_corrects(tmp_path: Path) -> None:
    paths = _series(tmp_path / "a")
    _write_seg(paths, tmp_path / "z-old.dcm", _box(), key="1", date="20260101")
    _write_seg(paths, tmp_path / "a-new.dcm", _box(4), key="2", date="20260202")
    labels = find(tmp_path)[0].labels
    assert [one.name for one in labels] == ["z-old.dcm", "a-new.dcm"]
    masks = read_masks(labels, read_volume(paths))
    assert np.array_equal(masks["left lung"], _box(4))


def test_rtstruct_contours_inside_others_are_holes(tmp_path: Path) -> None:
    paths = _series(tmp_path / "a")
    volume = read_volume(paths)
    _write_rtstruct(paths, tmp_path / "rt.dcm", volume)
    mask = read_masks(find(tmp_path)[0].labels, volume)["left lung"]
    expected = np.zeros(SHAPE, dtype=np.bool_)
    expected[2, 3:11, 3:11] = True
    expected[2, 5:7, 5:7] = False
    assert np.array_equal(mask, expected)


def test_labels_in_another_frame_of_reference_are_refused(tmp_path: Path) -> None:
    paths, others = _series(tmp_path / "a"), _series(tmp_path / "b", seed=2)
    _write_seg(paths, tmp_path / "seg.dcm", _box(), key="1", date="20260101")
    with pytest.raises(GeometryError, match="frame of reference"):
        read_masks([tmp_path / "seg.dcm"], read_volume(others))
