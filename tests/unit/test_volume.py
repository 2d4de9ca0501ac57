"""Series read into volumes, against highdicom's reader and numbers worked out by hand."""

from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.image_reader import PydicomReader
from pydicom.dataset import Dataset

from medaet.dicom.volume import read_volume
from medaet.testing.phantom import AXIAL, CORONAL, SAGITTAL, write_series

OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
DOUBLE_OBLIQUE = (0.36, 0.48, -0.8, -0.8, 0.6, 0.0)
RAMP = np.arange(3 * 4 * 5).reshape(3, 4, 5)

Change = Callable[[Dataset, int], None]


def _set(keyword: str, value: object, *, of_slice: int | None = None) -> Change:
    """Return a change that sets an attribute, None to leave it out, of one slice or of all."""

    def change(dataset: Dataset, number: int) -> None:
        if of_slice in (None, number):
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)

    return change


def _assert_agrees_with_highdicom(
    paths: list[Path], *, within_mm: float = 1e-4, **tolerance: float
) -> None:
    """Compare with highdicom's volume: the same voxels at the same places, though in another order."""
    ours = read_volume(paths)
    theirs = highdicom.get_volume_from_series(
        [pydicom.dcmread(path) for path in paths], apply_presentation_lut=False, **tolerance
    )
    count = len(paths)
    reordered = (
        theirs.array[::-1] if not np.array_equal(theirs.array, ours.voxels) else theirs.array
    )
    assert np.array_equal(reordered, ours.voxels)
    corners = [(c, r, s, 1) for s in (0, count - 1) for r in (0, 3) for c in (0, 3)]
    is_reversed = reordered is not theirs.array
    for column, row, plane, one in corners:
        theirs_plane = count - 1 - plane if is_reversed else plane
        expected = theirs.affine @ (theirs_plane, row, column, one)
        assert ours.affine @ (column, row, plane, one) == pytest.approx(expected, abs=within_mm)


# Against another reader.


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, OBLIQUE, DOUBLE_OBLIQUE])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_read_volume_agrees_with_highdicom_on_phantoms(
    tmp_path: Path, orientation: tuple[float, ...], modality: str
) -> None:
    paths = write_series(
        tmp_path,
        modality=modality,
        shape=(6, 9, 7),
        spacing_mm=(3.5, 0.75, 0.5),
        orientation=orientation,
        origin=(-120.5, 33.25, 871),
    )
    _assert_agrees_with_highdicom(paths[::-1])


@pytest.mark.parametrize("name", ["chest_ct", "brain_mr", "head_ct", "head_mr_t1_1mm"])
def test_read_volume_agrees_with_highdicom_on_real_series(scans: Path, name: str) -> None:
    _assert_agrees_with_highdicom(sorted((scans / name).glob("*.dcm")))


def test_read_volume_agrees_with_highdicom_on_a_native_series_that_wobbles(scans: Path) -> None:
    paths = sorted((scans / "head_mr_pd_native").glob("*.dcm"))
    _assert_agrees_with_highdicom(paths, within_mm=0.1, atol=0.1, perpendicular_tol=0.1)


# The place of voxels.


@settings(max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    spacing_mm=st.tuples(*[st.floats(0.3, 9)] * 3),
)
def test_read_volume_places_corners_of_any_plane_where_they_lie(
    tmp_path_factory: pytest.TempPathFactory,
    angles: tuple[float, float, float],
    origin: tuple[float, float, float],
    spacing_mm: tuple[float, float, float],
) -> None:
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    row = np.array([cb * cc, cb * sc, -sb])
    column = np.array([sa * sb * cc - ca * sc, sa * sb * sc + ca * cc, sa * cb])
    paths = write_series(
        tmp_path_factory.mktemp("series"),
        voxels=RAMP,
        orientation=(*row, *column),
        origin=origin,
        spacing_mm=spacing_mm,
    )
    volume = read_volume(paths)
    far = origin + np.cross(row, column) * spacing_mm[0] * 2
    far = far + row * spacing_mm[2] * 4 + column * spacing_mm[1] * 3
    assert np.array_equal(volume.voxels, RAMP)
    assert (volume.affine @ (0, 0, 0, 1))[:3] == pytest.approx(origin, abs=2e-3)
    assert (volume.affine @ (4, 3, 2, 1))[:3] == pytest.approx(far, abs=2e-3)
    assert volume.spacing_mm == pytest.approx(spacing_mm, abs=2e-3)
    assert volume.voxel_ml == pytest.approx(np.prod(spacing_mm) / 1000, rel=1e-2)


def test_read_volume_names_the_instance_of_each_slice(tmp_path: Path) -> None:
    paths = write_series(tmp_path, shape=(4, 4, 4))
    names = tuple(str(pydicom.dcmread(path).SOPInstanceUID) for path in paths)
    assert read_volume([paths[n] for n in (2, 0, 3, 1)]).sop_instance_uids == names


def test_read_volume_keeps_modality_and_frame_of_reference(tmp_path: Path) -> None:
    paths = write_series(tmp_path, modality="MR", shape=(2, 4, 4))
    volume = read_volume(paths)
    assert volume.modality == "MR"
    assert volume.frame_of_reference_uid == pydicom.dcmread(paths[0]).FrameOfReferenceUID


def test_read_volume_takes_slice_thickness_for_a_single_slice(tmp_path: Path) -> None:
    change = _set("SpacingBetweenSlices", "2")  # GE writes the gap between slices here
    paths = write_series(tmp_path, shape=(1, 4, 4), spacing_mm=(5, 1, 1), change=change)
    assert read_volume(paths).spacing_mm == pytest.approx((5, 1, 1))


def test_read_volume_takes_spacing_between_slices_without_slice_thickness(tmp_path: Path) -> None:
    def change(dataset: Dataset, _: int) -> None:
        dataset.SliceThickness = None
        dataset.SpacingBetweenSlices = "4"

    paths = write_series(tmp_path, shape=(1, 4, 4), change=change)
    assert read_volume(paths).spacing_mm == pytest.approx((4, 1, 1))


def test_read_volume_finds_pixels_behind_a_long_header(tmp_path: Path) -> None:
    def change(dataset: Dataset, _: int) -> None:
        block = dataset.private_block(0x0009, "MEDAET TEST", create=True)
        block.add_new(0x01, "OB", bytes(200_000))

    assert np.array_equal(
        read_volume(write_series(tmp_path, voxels=RAMP, change=change)).voxels, RAMP
    )


@pytest.mark.parametrize("name", ["chest_ct", "brain_mr", "head_ct", "head_mr_t1_1mm"])
def test_read_volume_agrees_with_simpleitk_and_monai_on_real_series(scans: Path, name: str) -> None:
    ours = read_volume(sorted((scans / name).glob("*.dcm")))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(scans / name)))
    theirs = SimpleITK.GetArrayFromImage(reader.Execute())
    assert np.array_equal(theirs, ours.voxels)
    monai = PydicomReader()
    found, header = monai.get_data(monai.read(str(scans / name)))
    assert np.array_equal(found.transpose(2, 1, 0), ours.voxels)
    to_ras = np.diag([-1, -1, 1, 1])
    assert np.allclose(to_ras @ header["affine"], ours.affine, atol=1e-3)
