"""Segmentations in every form, from every kind of source: proven, and equal to what highdicom would write."""

from collections.abc import Iterator
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from medaet import segments_of, structure
from medaet.dicom.codes import LUNG
from medaet.dicom.stack import Choice
from medaet.dicom.volume import read_volume
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.results.form import Form, Kind, Part, overlap
from medaet.results.objects import Encoded, Source
from medaet.results.recipe import Recipe
from medaet.results.seg import write_segmentation
from medaet.results.stand_in import stand_ins
from medaet.testing.enhanced import write_enhanced
from medaet.testing.phantom import SAGITTAL, write_series
from medaet.testing.run import algorithm, encoded, source_of, two_boxes

SHAPE = (8, 16, 16)
LABELMAP = Recipe(segmentation=Form(Kind.LABELMAP))


@pytest.fixture
def source(tmp_path: Path) -> Source:
    paths = write_series(tmp_path / "ct", shape=SHAPE, spacing_mm=(2.5, 0.75, 0.5), seed=1)
    return source_of(paths)


def segmentations(results: list[Encoded]) -> list[Dataset]:
    return [pydicom.dcmread(one.path) for one in results if one.kind == "SEG"]


# Forms.


def test_bits_are_what_highdicom_would_write(source: Source, tmp_path: Path) -> None:
    volume = source.volumes["ct"]
    (ours,) = segmentations(encoded(two_boxes(volume), source))
    series = source.series()["ct"]
    highdicom.seg.Segmentation(
        source_images=stand_ins(series),
        pixel_array=np.stack([one.mask for one in two_boxes(volume).segments], -1).astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=list(highdicom.seg.Segmentation.from_dataset(ours).SegmentSequence),
        series_instance_uid=ours.SeriesInstanceUID,
        series_number=1,
        sop_instance_uid=ours.SOPInstanceUID,
        instance_number=1,
        manufacturer="M",
        manufacturer_model_name="M",
        software_versions="1",
        device_serial_number="1",
    ).save_as(tmp_path / "theirs.dcm")
    theirs = pydicom.dcmread(tmp_path / "theirs.dcm")
    assert ours.SharedFunctionalGroupsSequence == theirs.SharedFunctionalGroupsSequence
    expected = {_place(group): (group, pixels) for group, pixels in _frames(theirs)}
    for group, pixels in _frames(ours):
        other, others_pixels = expected.pop(_place(group))
        assert np.array_equal(pixels, others_pixels)
        del group.FrameContentSequence, other.FrameContentSequence  # theirs count from the far end
        assert group == other
    assert not expected
    for keyword in ("SegmentsOverlap", "SegmentSequence", "NumberOfFrames"):
        assert ours[keyword] == theirs[keyword]


def _frames(dataset: Dataset) -> Iterator[tuple[Dataset, NDArray[np.uint8]]]:
    return zip(dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True)


def _place(group: Dataset) -> tuple[int, str]:
    segment = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    return segment, str(group.PlanePositionSequence[0].ImagePositionPatient)


@pytest.mark.parametrize("compressed", [True, False])
def test_label_map_holds_a_number_for_each_segment(source: Source, compressed: bool) -> None:
    recipe = Recipe(segmentation=Form(Kind.LABELMAP, compressed=compressed))
    findings = two_boxes(source.volumes["ct"])
    results = encoded(findings, source, recipe=recipe)
    (dataset,) = segmentations(results)
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert dataset.file_meta.TransferSyntaxUID == (
        JPEGLSLossless if compressed else ExplicitVRLittleEndian
    )
    assert results[0].proof["frames"] == dataset.NumberOfFrames == 5
    assert [one.SegmentNumber for one in dataset.SegmentSequence] == [1, 2, 0]  # background last
    left, right = (one.mask for one in findings.segments)
    labels = (left + 2 * right)[[1, 2, 3, 5, 6]]
    assert np.array_equal(dataset.pixel_array, labels)
    assert results[-1].proof["segment_references"] == 0  # tracking UIDs alone tie them together


def test_label_map_of_segments_that_overlap_becomes_bits(source: Source) -> None:
    left, right = two_boxes(source.volumes["ct"]).segments
    both = Segment("Both", left.mask | right.mask, LUNG)
    (dataset,) = segmentations(encoded(Findings([left, both]), source, recipe=LABELMAP))
    assert dataset.SegmentationType == "BINARY"
    assert dataset.SegmentsOverlap == "YES"


def test_more_than_255_segments_take_16_bits(source: Source) -> None:
    labels = np.arange(300, dtype=np.uint16).repeat(6)
    labels = np.resize(labels, SHAPE[0] * SHAPE[1] * SHAPE[2]).reshape(SHAPE)
    names = {number: structure("lesion") for number in range(1, 300)}
    segments = [
        Segment(f"Lesion {number}", one.voxels, one.code)
        for number, one in enumerate(segments_of(labels, names))
    ]
    (dataset,) = segmentations(encoded(Findings(segments), source, recipe=LABELMAP))
    assert dataset.BitsAllocated == 16
    assert np.array_equal(np.unique(dataset.pixel_array), np.arange(300))


def test_probabilities_are_written_as_they_are(source: Source, tmp_path: Path) -> None:
    probability = np.zeros(SHAPE, np.float32)
    probability[2:5, 3:9, 4:10] = np.linspace(0, 1, 3 * 6 * 6).reshape(3, 6, 6)
    segment = Segment("Box", probability > 0.5, LUNG, role="ct", probability=probability)
    path = tmp_path / "fractional.dcm"
    write_segmentation(
        path, Part([segment]), source.series()["ct"], algorithm(), Form(Kind.FRACTIONAL)
    )
    dataset = pydicom.dcmread(path)
    assert (dataset.SegmentationType, dataset.MaximumFractionalValue) == ("FRACTIONAL", 255)
    assert dataset.SegmentationFractionalType == "PROBABILITY"
    assert np.array_equal(dataset.pixel_array, np.rint(probability[2:5] * 255))


def test_empty_frames_are_written_where_a_viewer_counts_them(source: Source) -> None:
    recipe = Recipe(segmentation=Form(empty_frames=True))
    results = encoded(two_boxes(source.volumes["ct"]), source, recipe=recipe)
    assert results[0].proof["frames"] == 2 * SHAPE[0]


# Limits.


def test_segments_are_distributed_over_objects_of_so_many_frames(source: Source) -> None:
    recipe = Recipe(segmentation=Form(maximum_frames=4))
    results = encoded(two_boxes(source.volumes["ct"]), source, recipe=recipe)
    first, second = segmentations(results)
    assert [one.kind for one in results] == ["SEG", "SEG", "SR"]
    assert (first.NumberOfFrames, second.NumberOfFrames) == (3, 2)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
    assert [one.SegmentSequence[0].SegmentNumber for one in (first, second)] == [1, 1]
    assert results[-1].proof["segment_references"] == 2


def test_segment_with_more_frames_than_allowed_gets_an_object_of_its_own(source: Source) -> None:
    recipe = Recipe(segmentation=Form(maximum_frames=1))
    found = segmentations(encoded(two_boxes(source.volumes["ct"]), source, recipe=recipe))
    assert [one.NumberOfFrames for one in found] == [3, 2]


# Sources.


@pytest.mark.parametrize("recipe", [Recipe(), LABELMAP], ids=["bits", "labels"])
def test_frames_of_an_enhanced_source_are_named_by_number(tmp_path: Path, recipe: Recipe) -> None:
    slices = write_series(
        tmp_path / "mr", modality="MR", shape=SHAPE, orientation=SAGITTAL, spacing_mm=(3, 0.5, 0.75)
    )
    path = write_enhanced(slices[::-1], tmp_path / "enhanced" / "1.dcm")
    source = source_of([path])
    results = encoded(two_boxes(source.volumes["ct"]), source, recipe=recipe)
    (dataset,) = segmentations(results)
    named = [
        int(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for group in dataset.PerFrameFunctionalGroupsSequence
    ]
    assert named == [7, 6, 5, 3, 2]  # slices 1, 2, 3, 5, 6 of a series in reverse
    (series,) = dataset.ReferencedSeriesSequence
    assert len(series.ReferencedInstanceSequence) == 1
    assert results[-1].proof["images"] == 1


def test_slices_that_were_interpolated_carry_no_result(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "ct", shape=SHAPE, spacing_mm=(2, 1, 1))
    given = [*paths[:2], *paths[3:]]
    volume = read_volume(given, Choice(irregular="resample"))
    assert volume.voxels.shape == SHAPE
    source = Source({"ct": given}, {"ct": volume})
    results = encoded(two_boxes(volume), source)
    assert results[0].proof["frames"] == 4  # the left box lies on slices 1, 2 and 3
    known = {str(pydicom.dcmread(path).SOPInstanceUID) for path in given}
    (dataset,) = segmentations(results)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        (image,) = group.DerivationImageSequence[0].SourceImageSequence
        assert image.ReferencedSOPInstanceUID in known


def test_slices_at_uneven_distances_get_the_mask_of_the_nearest(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.ImagePositionPatient = ["0", "0", str((0, 2, 4, 7, 10, 12, 14, 16)[number])]

    paths = write_series(tmp_path / "ct", shape=SHAPE, change=change)
    volume = read_volume(paths, Choice(irregular="resample"))
    assert volume.voxels.shape[0] == 9
    mask = np.zeros(volume.voxels.shape, bool)
    for number in range(9):
        mask[number, number, :] = True  # each slice has a row of its own
    (dataset,) = segmentations(
        encoded(Findings([Segment("Rows", mask, LUNG)]), Source({"ct": paths}, {"ct": volume}))
    )
    rows = [int(np.flatnonzero(frame.any(axis=1))[0]) for frame in dataset.pixel_array]
    assert rows == list(volume.slices) == [0, 1, 2, 4, 5, 6, 7, 8]


# Many segments.


def test_segments_of_a_label_map_are_like_masks_of_their_own(source: Source) -> None:
    labels = np.zeros(SHAPE, np.int64)
    labels[1:4, 2:6, 1:6] = 5
    labels[5:7, 7:13, 9:12] = 9
    found = segments_of(labels, {5: structure("lung_left"), 9: structure("lung_right")})
    assert [one.label for one in found] == ["Left lung", "Right lung"]
    boxes = two_boxes(source.volumes["ct"]).segments
    for one, other in zip(found, boxes, strict=True):
        assert np.array_equal(one.mask, other.mask)
        assert np.array_equal(one.voxels.counts, other.voxels.counts)
        assert one.count == other.count
    (ours,), (theirs,) = (segmentations(encoded(Findings(each), source)) for each in (found, boxes))
    assert ours.PixelData == theirs.PixelData


def test_overlap_is_found_slice_by_slice(source: Source) -> None:
    left, right = two_boxes(source.volumes["ct"]).segments
    assert not overlap([left, right])
    assert overlap([left, right, Segment("Again", right.mask, LUNG)])
    labels = left.mask + 2 * right.mask
    names = {1: structure("lung_left"), 2: structure("lung_right")}
    assert not overlap(segments_of(labels, names))
    assert overlap([*segments_of(labels, names), right])
