"""The grid of a series, against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaet.dicom.geometry import Plane, grid
from medaet.errors import GeometryError
from medaet.testing.phantom import AXIAL, CORONAL, SAGITTAL

OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)


def _planes(*heights: float) -> list[Plane]:
    return [Plane(f"1.{n}", (1, 2, z), AXIAL, (0.7, 0.5), 5) for n, z in enumerate(heights)]


def _shifted(plane: Plane, sideways: float) -> Plane:
    x, y, z = plane.position
    return replace(plane, position=(x + sideways, y, z))


def test_grid_scales_columns_by_the_second_pixel_spacing() -> None:
    assert np.diag(grid(_planes(0, 2.5)).affine) == pytest.approx((0.5, 0.7, 2.5, 1))


def test_grid_orders_slices_along_the_normal() -> None:
    assert grid(_planes(5, 0, 2.5)).order == (1, 2, 0)


def test_grid_starts_at_the_first_slice() -> None:
    assert grid(_planes(5, 0, 2.5)).affine[:3, 3] == pytest.approx((1, 2, 0))


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(7)))
def test_grid_is_the_same_in_whatever_order_planes_come(shuffled: list[int]) -> None:
    planes = _planes(*(2.5 * n for n in range(7)))
    found = grid([planes[n] for n in shuffled])
    assert [shuffled[n] for n in found.order] == list(range(7))
    assert np.array_equal(found.affine, grid(planes).affine)


def test_grid_runs_to_the_feet_when_rows_run_to_the_right() -> None:
    flipped = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    planes = [replace(plane, orientation=flipped) for plane in _planes(0, 2)]
    found = grid(planes)
    assert found.order == (1, 0)
    assert found.affine[:3, 2] == pytest.approx((0, 0, -2))


@pytest.mark.parametrize(
    ("orientation", "normal"),
    [
        (AXIAL, (0, 0, 1)),
        (CORONAL, (0, 1, 0)),
        (SAGITTAL, (-1, 0, 0)),
        # (0.8, 0.6, 0) x (0, 0, -1) = (0.6 * -1 - 0, 0 - 0.8 * -1, 0)
        (OBLIQUE, (-0.6, 0.8, 0)),
    ],
)
def test_grid_steps_along_row_times_column(
    orientation: tuple[float, ...], normal: tuple[float, ...]
) -> None:
    planes = [
        Plane(f"1.{n}", tuple(3 * n * part for part in normal), orientation, (1, 1), 1)
        for n in range(3)
    ]
    assert grid(planes).affine[:3, 2] == pytest.approx(tuple(3 * part for part in normal))
    assert grid(planes).order == (0, 1, 2)


def test_grid_places_a_voxel_of_an_oblique_series() -> None:
    planes = [
        Plane(f"1.{n}", (10 - 0.6 * 3 * n, 20 + 0.8 * 3 * n, 30), OBLIQUE, (2, 0.5), 1)
        for n in range(4)
    ]
    # Column 4 is 2 mm along (0.8, 0.6, 0), row 5 is 10 mm along (0, 0, -1), slice 2 is 6 mm along (-0.6, 0.8, 0).
    place = grid(planes).affine @ (4, 5, 2, 1)
    assert place[:3] == pytest.approx((10 + 1.6 - 3.6, 20 + 1.2 + 4.8, 30 - 10))


def test_grid_follows_the_positions_of_a_tilted_gantry() -> None:
    planes = [
        replace(plane, position=(0, 1.5 * n, 2 * n)) for n, plane in enumerate(_planes(0, 0, 0))
    ]
    assert grid(planes).affine[:3, 2] == pytest.approx((0, 1.5, 2))


def test_grid_refuses_an_empty_series() -> None:
    with pytest.raises(GeometryError, match="no image"):
        grid([])


def test_grid_takes_the_thickness_for_a_single_slice() -> None:
    assert grid(_planes(3)).affine[2, 2] == 5


def test_grid_refuses_a_single_slice_of_unknown_thickness() -> None:
    with pytest.raises(GeometryError, match=r"neither SliceThickness nor.*1\.0"):
        grid([replace(_planes(3)[0], thickness_mm=0)])


# Tolerance: 0.1 mm or 2 % of the median gap, whichever is more.


def test_grid_accepts_spacing_that_wobbles_by_less_than_the_tolerance() -> None:
    assert grid(_planes(0, 2.05, 4)).affine[2, 2] == pytest.approx(2)


@pytest.mark.parametrize(("middle", "accepted"), [(2.09, True), (2.11, False)])
def test_grid_accepts_a_tenth_of_a_millimetre(middle: float, accepted: bool) -> None:
    planes = _planes(0, middle, middle + 2, middle + 4)
    if accepted:
        assert grid(planes).order == (0, 1, 2, 3)
    else:
        with pytest.raises(GeometryError, match=r"1\.0, 1\.1 \(spaced unevenly\)"):
            grid(planes)


@pytest.mark.parametrize(("middle", "accepted"), [(10.19, True), (10.21, False)])
def test_grid_accepts_two_percent_of_wide_gaps(middle: float, accepted: bool) -> None:
    planes = _planes(0, middle, middle + 10, middle + 20)
    if accepted:
        assert grid(planes).order == (0, 1, 2, 3)
    else:
        with pytest.raises(GeometryError, match="spaced unevenly"):
            grid(planes)


def test_grid_refuses_gaps_whose_differences_add_up() -> None:
    # Ten gaps of 2.0 mm and ten of 2.09 mm: each passes, but the middle slice is 0.45 mm from where it should be.
    heights = np.concatenate([[0], np.cumsum([2.0] * 10 + [2.09] * 10)])
    with pytest.raises(GeometryError, match=r"0\.450 mm off the line.*1\.10"):
        grid(_planes(*heights))


def test_grid_refuses_a_missing_slice_and_names_its_neighbours() -> None:
    with pytest.raises(GeometryError, match=r"1\.1, 1\.2 \(1 missing there\)"):
        grid(_planes(0, 2, 6, 8))


def test_grid_counts_the_slices_missing_in_a_gap() -> None:
    with pytest.raises(GeometryError, match=r"3 missing there\); 1 such gaps"):
        grid(_planes(0, 2, 4, 12, 14))


def test_grid_finds_a_missing_slice_among_very_thin_ones() -> None:
    with pytest.raises(GeometryError, match="1 missing there"):
        grid(_planes(0, 0.06, 0.12, 0.24, 0.30))


def test_grid_accepts_very_thin_slices() -> None:
    assert grid(_planes(0, 0.06, 0.12, 0.18)).affine[2, 2] == pytest.approx(0.06)


def test_grid_refuses_two_instances_at_one_position() -> None:
    with pytest.raises(GeometryError, match=r"1 positions .* 1\.1, 1\.2"):
        grid(_planes(0, 2, 2, 4))


def test_grid_refuses_two_echoes_of_every_slice() -> None:
    with pytest.raises(GeometryError, match=r"3 positions .*; send phases or echoes"):
        grid(_planes(0, 0, 2, 2, 4, 4))


def test_grid_refuses_a_film_of_one_slice() -> None:
    with pytest.raises(GeometryError, match="3 positions"):
        grid(_planes(7, 7, 7, 7))


def test_grid_refuses_a_slice_that_is_shifted_sideways() -> None:
    planes = _planes(0, 2, 4)
    with pytest.raises(GeometryError, match=r"8\.000 mm off the line.*1\.1$"):
        grid([planes[0], _shifted(planes[1], 8), planes[2]])


# What must be alike.


def test_grid_refuses_mixed_orientations_and_names_the_odd_one() -> None:
    odd = Plane("1.9", (1, 2, 4), CORONAL, (0.7, 0.5), 5)
    with pytest.raises(GeometryError, match=r"mixes orientations: 1 of 4 .*UID 1\.9;"):
        grid([odd, *_planes(0, 2, 4)])


def test_grid_names_no_more_than_three_instances() -> None:
    odd = [Plane(f"1.9{n}", (1, 2, n), CORONAL, (0.7, 0.5), 5) for n in range(5)]
    with pytest.raises(GeometryError, match=r"1\.90, 1\.91, 1\.92 and 2 more"):
        grid([*_planes(*range(20)), *odd])


def test_grid_refuses_mixed_pixel_spacings() -> None:
    odd = Plane("1.9", (1, 2, 4), AXIAL, (0.7, 0.6), 5)
    with pytest.raises(GeometryError, match=r"mixes pixel spacings.*1\.9"):
        grid([*_planes(0, 2), odd])


def test_grid_accepts_cosines_that_are_rounded_differently() -> None:
    rounded = replace(_planes(4)[0], orientation=(1, 0.0004, 0, 0, 1, 0), sop_instance_uid="1.9")
    assert grid([*_planes(0, 2), rounded]).order == (0, 1, 2)


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0, 0.5, 0), (1, 0, 0, 0.6, 0.8, 0), (0, 0, 0, 0, 0, 0)]
)
def test_grid_refuses_cosines_that_are_not_unit_and_orthogonal(
    orientation: tuple[float, ...],
) -> None:
    planes = [replace(plane, orientation=orientation) for plane in _planes(0, 2)]
    with pytest.raises(GeometryError, match=r"not unit and orthogonal.*1\.0"):
        grid(planes)
