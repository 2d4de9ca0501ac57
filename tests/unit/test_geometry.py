"""The grid of a series, against numbers worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from medaet.dicom.geometry import Plane, grid
from medaet.dicom.volume import read_volume
from medaet.errors import GeometryError
from medaet.testing.phantom import AXIAL, CORONAL, SAGITTAL, write_series


def _planes(*heights: float) -> list[Plane]:
    return [Plane(f"1.{n}", (1, 2, z), AXIAL, (0.7, 0.5), 5) for n, z in enumerate(heights)]


def test_grid_scales_columns_by_the_second_pixel_spacing() -> None:
    assert np.diag(grid(_planes(0, 2.5)).affine) == pytest.approx((0.5, 0.7, 2.5, 1))


def test_grid_orders_slices_along_the_normal() -> None:
    assert grid(_planes(5, 0, 2.5)).order == (1, 2, 0)


def test_grid_starts_at_the_first_slice() -> None:
    assert grid(_planes(5, 0, 2.5)).affine[:3, 3] == pytest.approx((1, 2, 0))


def test_grid_takes_the_thickness_for_a_single_slice() -> None:
    assert grid(_planes(3)).affine[2, 2] == 5


def test_grid_accepts_spacing_that_wobbles_by_less_than_the_tolerance() -> None:
    assert grid(_planes(0, 2.05, 4)).affine[2, 2] == pytest.approx(2)


def test_grid_refuses_a_missing_slice_and_names_its_neighbours() -> None:
    with pytest.raises(GeometryError, match=r"1\.1, 1\.2 \(1 missing there\)"):
        grid(_planes(0, 2, 6, 8))


def test_grid_refuses_two_instances_at_one_position() -> None:
    with pytest.raises(GeometryError, match=r"1\.1, 1\.2"):
        grid(_planes(0, 2, 2, 4))


def test_grid_refuses_mixed_orientations() -> None:
    odd = Plane("1.9", (1, 2, 4), CORONAL, (0.7, 0.5), 5)
    with pytest.raises(GeometryError, match=r"mixes orientations.*1\.9"):
        grid([*_planes(0, 2), odd])


def test_grid_refuses_a_slice_that_is_shifted_sideways() -> None:
    odd = Plane("1.9", (9, 2, 2), AXIAL, (0.7, 0.5), 5)
    with pytest.raises(GeometryError, match=r"off the line.*1\.9"):
        grid([*_planes(0), odd, *_planes(4)])


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, (0.8, 0.6, 0, 0, 0, -1)])
def test_read_volume_returns_the_voxels_of_any_plane(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    voxels = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
    paths = write_series(
        tmp_path, voxels=voxels, orientation=orientation, spacing_mm=(3.0, 2.0, 1.0)
    )
    volume = read_volume(paths[::-1])
    assert np.array_equal(volume.voxels, voxels)
    assert volume.spacing_mm == pytest.approx((3, 2, 1))
    assert volume.affine[:3, 0] == pytest.approx(np.array(orientation[:3]))


@pytest.mark.parametrize(
    ("name", "slices"), [("chest_ct", 48), ("brain_mr", 25), ("head_mr_pd_native", 20)]
)
def test_read_volume_reads_real_series(scans: Path, name: str, slices: int) -> None:
    assert read_volume(sorted((scans / name).glob("*.dcm"))).voxels.shape[0] == slices
