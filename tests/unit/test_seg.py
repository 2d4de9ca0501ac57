from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from medaet.dicom.codes import LUNG
from medaet.dicom.structures import structure, structures
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.results.colours import colours
from medaet.testing.phantom import write_series
from medaet.testing.run import encoded, source_of, two_boxes


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return write_series(tmp_path / "series", shape=(8, 16, 16), spacing_mm=(2.5, 0.75, 0.5), seed=1)


def segmentation(paths: list[Path], findings: Findings | None = None) -> Dataset:
    source = source_of(paths)
    found = findings or two_boxes(source.volumes["ct"])
    return pydicom.dcmread(encoded(found, source)[0].path)


def test_segmentation_is_binary_uncompressed_explicit_little_endian(paths: list[Path]) -> None:
    dataset = segmentation(paths)
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (dataset.SegmentationType, dataset.BitsAllocated) == ("BINARY", 1)


def test_segmentation_holds_only_frames_with_voxels(paths: list[Path]) -> None:
    dataset = segmentation(paths)
    numbers = [
        item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for item in dataset.PerFrameFunctionalGroupsSequence
    ]
    assert numbers == [1, 1, 1, 2, 2]


def test_segmentation_lies_in_the_frame_of_reference_of_its_source(paths: list[Path]) -> None:
    header = pydicom.dcmread(paths[0])
    dataset = segmentation(paths)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    assert dataset.FrameOfReferenceUID == header.FrameOfReferenceUID
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    assert orientation == header.ImageOrientationPatient
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.75, 0.5]
    assert shared.PixelMeasuresSequence[0].SpacingBetweenSlices == 2.5


def test_segmentation_refers_to_its_source_series_first(paths: list[Path]) -> None:
    dataset = segmentation(paths)
    series = dataset.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == pydicom.dcmread(paths[0]).SeriesInstanceUID
    assert len(series.ReferencedInstanceSequence) == 8


def test_segmentation_names_a_source_image_for_every_frame(paths: list[Path]) -> None:
    known = {pydicom.dcmread(path).SOPInstanceUID for path in paths}
    for item in segmentation(paths).PerFrameFunctionalGroupsSequence:
        source = item.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID in known


def test_segmentation_orders_frames_by_segment_then_position(paths: list[Path]) -> None:
    dataset = segmentation(paths)
    pointers = [item.DimensionIndexPointer for item in dataset.DimensionIndexSequence]
    assert pointers == [0x0062000B, 0x00200032]
    uids = {item.DimensionOrganizationUID for item in dataset.DimensionIndexSequence}
    assert uids == {dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID}


def test_segment_carries_codes_algorithm_tracking_and_colour(paths: list[Path]) -> None:
    first, second = segmentation(paths).SegmentSequence
    kind = first.SegmentedPropertyTypeCodeSequence[0]
    modifier = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    assert (first.SegmentNumber, second.SegmentNumber) == (1, 2)
    assert (kind.CodeValue, modifier.CodeValue) == ("39607008", "7771000")
    assert first.SegmentAlgorithmType == "AUTOMATIC"
    assert first.SegmentAlgorithmName == "phantom-test"
    assert first.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2.3"
    assert first.TrackingID == "Left box"
    assert first.TrackingUID != second.TrackingUID
    assert first.RecommendedDisplayCIELabValue != second.RecommendedDisplayCIELabValue


def test_segmentation_holds_segments_that_overlap(paths: list[Path]) -> None:
    volume = source_of(paths).volumes["ct"]
    left = two_boxes(volume).segments[0]
    inner = np.zeros_like(left.mask)
    inner[2, 3, 3] = True
    findings = Findings(segments=[left, Segment("Inner", inner, LUNG)])
    dataset = segmentation(paths, findings)
    assert dataset.SegmentsOverlap == "YES"
    assert dataset.NumberOfFrames == 4


def test_segmentation_leaves_out_segments_without_voxels(paths: list[Path]) -> None:
    left, right = two_boxes(source_of(paths).volumes["ct"]).segments
    empty = Segment("Empty", np.zeros_like(left.mask), LUNG)
    dataset = segmentation(paths, Findings(segments=[left, empty, right]))
    assert [item.SegmentLabel for item in dataset.SegmentSequence] == ["Left box", "Right box"]
    assert [item.SegmentNumber for item in dataset.SegmentSequence] == [1, 2]


def test_colours_depend_on_the_label_alone_where_the_code_is_unknown() -> None:
    mask = np.zeros((1, 1, 1), bool)
    one, other = (Segment(label, mask, LUNG, modifier=LUNG) for label in ("One", "Other"))
    assert colours([one, other])["One"] == colours([one])["One"]
    assert len(set(colours([one, other]).values())) == 2


def test_colours_keep_two_segments_of_one_code_apart() -> None:
    mask = np.zeros((1, 1, 1), bool)
    assert len(set(colours([Segment("A", mask, LUNG), Segment("B", mask, LUNG)]).values())) == 2


def test_colours_take_the_one_that_the_segment_asks_for() -> None:
    segment = Segment("A", np.zeros((1, 1, 1), bool), LUNG, colour=(1, 2, 3))
    assert colours([segment]) == {"A": (1, 2, 3)}


def test_colours_of_a_structure_are_the_same_beside_whatever_else() -> None:
    mask = np.zeros((1, 1, 1), bool)
    names = ("liver", "kidney_left", "kidney_right", "aorta", "inferior_vena_cava", "rib_left_3")
    segments = [
        Segment(name, mask, one.code, modifier=one.modifier)
        for name in names
        if (one := structure(name))
    ]
    together = colours(segments)
    assert all(colours([one])[one.label] == together[one.label] for one in segments)
    assert len(set(together.values())) == len(names)
    red, _, blue = together["aorta"]
    assert red > 2 * blue
    red, _, blue = together["inferior_vena_cava"]
    assert blue > 1.5 * red


def test_colours_of_a_hundred_structures_are_valid() -> None:
    mask = np.zeros((1, 1, 1), bool)
    segments = [
        Segment(key, mask, one.code, modifier=one.modifier, anatomic_region=one.anatomic_region)
        for key, one in structures().items()
    ]
    found = colours(segments)
    assert all(0 <= part <= 255 for colour in found.values() for part in colour)
    assert len(set(found.values())) > 0.95 * len(segments)
