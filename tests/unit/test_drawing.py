"""Segmentations and RT Structure Sets read as regions of the series they refer to."""

import json
import os
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom import Dataset

from medaet.dicom.codes import NEOPLASM
from medaet.dicom.contours import inside
from medaet.dicom.drawing import references, with_regions
from medaet.dicom.volume import Volume, read_volume
from medaet.errors import GeometryError, InstanceError
from medaet.testing.drawing import write_segmentation, write_structures
from medaet.testing.phantom import AXIAL, CORONAL, SAGITTAL, write_series
from medaet.worker.shared import Lender, arrays, borrowed, described
from tests.peers import environment_program

SHAPE = (6, 12, 10)
SPACING = (2.5, 0.8, 0.9)
OBLIQUE = tuple(np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0][:2].flatten())


def _series(where: Path, **changes: object) -> list[Path]:
    return write_series(where, shape=SHAPE, spacing_mm=SPACING, **changes)  # type: ignore[arg-type]


def _masks(seed: int = 0) -> dict[str, NDArray[np.bool_]]:
    labels = np.random.default_rng(seed).integers(0, 4, SHAPE)
    labels[0] = 0
    return {"Tumour": labels == 1, "Node": labels == 2}


def _read(images: list[Path], *objects: Path) -> Volume:
    return with_regions(read_volume(images), objects)


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, OBLIQUE], ids=str)
def test_segments_come_back_voxel_for_voxel(
    kind: str, orientation: tuple[float, ...], tmp_path: Path
) -> None:
    images = _series(tmp_path / "ct", orientation=orientation, origin=(7.0, -3.0, 11.0))
    path = write_segmentation(tmp_path / "seg.dcm", images, _masks(), kind=kind)
    volume = _read(images, path)
    assert [region.label for region in volume.regions] == ["Tumour", "Node"]
    for region, mask in zip(volume.regions, _masks().values(), strict=True):
        assert np.array_equal(region.mask, mask)
        assert region.code == NEOPLASM


def test_overlapping_segments_stay_apart(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    masks = {"All": np.ones(SHAPE, bool), "Some": _masks()["Node"]}
    volume = _read(images, write_segmentation(tmp_path / "seg.dcm", images, masks))
    assert [int(one.mask.sum()) for one in volume.regions] == [
        int(one.sum()) for one in masks.values()
    ]


def test_fractions_count_from_one_half(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    path = write_segmentation(tmp_path / "seg.dcm", images, _masks(), kind="FRACTIONAL")
    dataset = pydicom.dcmread(path)
    maximum = dataset.MaximumFractionalValue
    values = np.array(dataset.pixel_array)
    some = values == maximum
    values[some] = np.where(np.arange(some.sum()) % 2, maximum // 2, maximum // 2 + 1)
    dataset.PixelData = values.tobytes()
    dataset.save_as(path)
    before = sum(int(one.sum()) for one in _masks().values())
    volume = _read(images, path)
    assert sum(int(one.mask.sum()) for one in volume.regions) == before // 2 + before % 2


def test_segmentation_on_a_coarser_grid_is_sampled_at_the_nearest_pixel(tmp_path: Path) -> None:
    frame = "1.2.3.4"

    def share(dataset: Dataset, _number: int) -> None:
        dataset.FrameOfReferenceUID = frame

    fine = write_series(
        tmp_path / "fine", shape=(8, 12, 12), spacing_mm=(1.0, 1.0, 1.0), change=share, seed=1
    )
    coarse = write_series(
        tmp_path / "coarse",
        shape=(4, 6, 6),
        spacing_mm=(2.0, 2.0, 2.0),
        origin=(0.5, 0.5, 0.5),
        change=share,
        seed=2,
    )
    mask = np.random.default_rng(3).random((4, 6, 6)) > 0.5
    volume = _read(fine, write_segmentation(tmp_path / "seg.dcm", coarse, {"Tumour": mask}))
    expected = mask.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    assert np.array_equal(volume.regions[0].mask, expected)


def test_segmentation_of_another_frame_of_reference_is_refused(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct", seed=1)
    others = _series(tmp_path / "other", seed=2)
    path = write_segmentation(tmp_path / "seg.dcm", others, _masks())
    with pytest.raises(GeometryError, match="another frame of reference"):
        _read(images, path)


@pytest.mark.interop
def test_segmentation_of_dcmqi_comes_back_voxel_for_voxel(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    mask = _masks()["Tumour"]
    picture = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    picture.SetSpacing(SPACING[::-1])
    SimpleITK.WriteImage(picture, str(tmp_path / "mask.nrrd"))
    coded = {"CodeValue": "108369006", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Neoplasm"}
    segment = {
        "labelID": 1,
        "SegmentLabel": "Tumour",
        "SegmentAlgorithmType": "MANUAL",
        "SegmentedPropertyCategoryCodeSequence": coded,
        "SegmentedPropertyTypeCodeSequence": coded,
    }
    meta = {"SeriesNumber": "100", "InstanceNumber": "1", "segmentAttributes": [[segment]]}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    subprocess.run(
        [
            environment_program("itkimage2segimage"),
            *("--inputImageList", str(tmp_path / "mask.nrrd")),
            *("--inputDICOMList", ",".join(map(str, images))),
            *("--inputMetadata", str(tmp_path / "meta.json")),
            *("--outputDICOM", str(tmp_path / "seg.dcm")),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    (region,) = _read(images, tmp_path / "seg.dcm").regions
    assert np.array_equal(region.mask, mask)
    assert (region.label, region.code.value) == ("Tumour", "108369006")


def _on_slice(
    corners: list[tuple[float, float]], volume: Volume, plane: int
) -> NDArray[np.float64]:
    """Place corners (column, row) of a slice in the patient."""
    at = np.array([(x, y, plane, 1.0) for x, y in corners]) @ volume.affine.T
    return np.asarray(at[:, :3])


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, OBLIQUE], ids=str)
def test_contours_are_filled_where_voxel_centres_lie_inside(
    orientation: tuple[float, ...], tmp_path: Path
) -> None:
    images = _series(tmp_path / "ct", orientation=orientation, origin=(5.0, 6.0, 7.0))
    bare = read_volume(images)
    square = _on_slice([(1.5, 2.5), (6.5, 2.5), (6.5, 8.5), (1.5, 8.5)], bare, 3)
    hole = _on_slice([(2.5, 4.5), (4.5, 4.5), (4.5, 6.5), (2.5, 6.5)], bare, 3)
    above = _on_slice([(0.2, 0.2), (3.1, 0.2), (0.2, 3.1)], bare, 4)
    drawn = {"GTV": [square, hole, above]}
    (region,) = _read(images, write_structures(tmp_path / "rt.dcm", images, drawn)).regions  # type: ignore[arg-type]
    expected = np.zeros(SHAPE, bool)
    expected[3, 3:9, 2:7] = True
    expected[3, 5:7, 3:5] = False
    expected[4, 1, 1:3] = expected[4, 2, 1] = True  # columns + rows up to 3.3
    assert np.array_equal(region.mask, expected)
    assert (region.label, region.code, region.number) == ("GTV", NEOPLASM, 1)


def test_polygon_agrees_with_the_winding_of_its_corners_around_each_centre() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        corners = rng.uniform(-3, 15, (rng.integers(3, 12), 2))
        found = inside(corners, (12, 10))
        for row, column in np.ndindex(found.shape):
            crossings = 0
            for (x, y), (u, v) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
                if (y > row) != (v > row) and column > x + (row - y) / (v - y) * (u - x):
                    crossings += 1
            assert found[row, column] == bool(crossings % 2)


def test_contour_between_slices_is_refused(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    off = [(1.0, 1.0, 1.2), (5.0, 1.0, 1.2), (5.0, 5.0, 1.2)]
    path = write_structures(tmp_path / "rt.dcm", images, {"GTV": [off]})
    with pytest.raises(GeometryError, match=r"0\.48 slices off the nearest slice"):
        _read(images, path)


def test_regions_that_reach_beyond_the_series_are_refused(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    beyond = [(1.0, 1.0, 25.0), (5.0, 1.0, 25.0), (5.0, 5.0, 25.0)]
    rt = write_structures(tmp_path / "rt.dcm", images, {"GTV": [beyond]})
    seg = write_segmentation(tmp_path / "seg.dcm", images, _masks())
    for path in (rt, seg):
        with pytest.raises(GeometryError, match="beyond the series"):
            _read(images[:3], path)


def test_contour_data_that_is_no_points_is_refused(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    path = write_structures(tmp_path / "rt.dcm", images, {"GTV": [[(1.0, 1.0, 0.0)] * 4]})
    dataset = pydicom.dcmread(path)
    dataset.ROIContourSequence[0].ContourSequence[0].ContourData = ["1", "2", "3", "4"]
    dataset.save_as(path)
    with pytest.raises(InstanceError, match="no list of points"):
        _read(images, path)


def test_object_that_is_cut_short_is_an_instance_error(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    path = write_segmentation(tmp_path / "seg.dcm", images, _masks())
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence
    dataset.save_as(path)
    with pytest.raises(InstanceError, match="no PlanePositionSequence"):
        _read(images, path)


def test_images_draw_no_regions(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    with pytest.raises(InstanceError, match="draws no regions"):
        _read(images, images[0])


def test_equal_labels_are_told_apart(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    square = [(1.0, 1.0, 0.0), (5.0, 1.0, 0.0), (5.0, 5.0, 0.0)]
    rt = write_structures(tmp_path / "rt.dcm", images, {"Tumour": [square]})
    seg = write_segmentation(tmp_path / "seg.dcm", images, {"Tumour": _masks()["Node"]})
    labels = [region.label for region in _read(images, rt, seg).regions]
    assert labels == ["Tumour", "Tumour (2)"]


def test_references_name_the_series_of_both_kinds(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    uid = str(pydicom.dcmread(images[0]).SeriesInstanceUID)
    square = [(1.0, 1.0, 0.0), (5.0, 1.0, 0.0), (5.0, 5.0, 0.0)]
    rt = write_structures(tmp_path / "rt.dcm", images, {"Tumour": [square]})
    seg = write_segmentation(tmp_path / "seg.dcm", images, _masks())
    assert references([rt]) == references([seg]) == references([rt, seg]) == (uid,)
    assert references([images[0]]) == ()


def test_regions_are_lent_to_the_child_with_their_volume(tmp_path: Path) -> None:
    images = _series(tmp_path / "ct")
    volume = _read(images, write_segmentation(tmp_path / "seg.dcm", images, _masks()))
    with closing(Lender()) as lender:
        lent = [os.dup(lender.descriptor(array)) for array in arrays(volume)]
        found = borrowed(json.loads(json.dumps(described(volume))), iter(lent))
    assert np.array_equal(found.voxels, volume.voxels)
    for one, two in zip(volume.regions, found.regions, strict=True):
        assert np.array_equal(one.mask, two.mask)
        assert (one.label, one.code, one.sop_instance_uid) == (
            two.label,
            two.code,
            two.sop_instance_uid,
        )
