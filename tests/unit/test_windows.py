"""Windows, their weights, and what lies in them, against MONAI and against counting."""

import pytest
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers.utils import _get_scan_interval

from medaet.compute.body import body, box
from medaet.compute.windows import Occupied, Windows, gaussian, padding


@pytest.mark.parametrize(
    ("shape", "size", "overlap"),
    [
        ((48, 117, 117), (32, 96, 96), 0.25),
        ((100, 50, 33), (10, 50, 12), 0.5),
        ((9, 9, 9), (9, 9, 9), 0.0),
        ((31, 40, 64), (7, 13, 8), 0.66),
    ],
)
def test_windows_lie_where_monais_do(
    shape: tuple[int, int, int], size: tuple[int, int, int], overlap: float
) -> None:
    interval = _get_scan_interval(shape, size, 3, [overlap] * 3)
    theirs = {
        tuple(part.start for part in one) for one in dense_patch_slices(shape, size, interval)
    }
    windows = Windows.over(shape, size, overlap)
    for axis in (0, 1, 2):
        ours = [corner for _, row in windows.rows(axis) for corner in row]
        assert set(ours) == theirs
        assert len(ours) == len(windows)
        assert [corner[axis] for corner in ours] == sorted(corner[axis] for corner in ours)


def test_stream_axis_is_the_one_cut_into_most_windows() -> None:
    assert Windows.over((48, 512, 512), (32, 96, 96), 0.25).stream_axis == 1
    assert Windows.over((300, 120, 120), (96, 96, 96), 0.25).stream_axis == 0


@pytest.mark.parametrize("size", [(32, 96, 96), (5, 8, 1), (96, 96, 96)])
def test_weights_are_monais(size: tuple[int, int, int]) -> None:
    theirs = compute_importance_map(size, mode="gaussian")
    assert torch.allclose(gaussian(size, torch.device("cpu")), theirs, rtol=1e-6)


def test_padding_is_shared_between_both_ends() -> None:
    assert padding((10, 3, 8), (8, 8, 9)) == [(0, 0), (2, 3), (0, 1)]


def test_occupied_finds_a_single_voxel_and_nothing_beside_it() -> None:
    mask = torch.zeros(6, 7, 8, dtype=torch.bool)
    mask[3, 4, 5] = True
    occupied = Occupied(mask)
    for corner in [(s, r, c) for s in range(5) for r in range(6) for c in range(7)]:
        inside = all(at in (k, k + 1) for k, at in zip(corner, (3, 4, 5), strict=True))
        assert occupied(corner, (2, 2, 2)) == inside


def test_body_includes_the_lungs_and_leaves_the_air_around_out() -> None:
    image = torch.full((4, 20, 20), -1000.0)
    image[:, 5:15, 5:15] = 40
    image[:, 7:13, 7:13] = -850  # a lung
    inside = body(image, "CT")
    assert inside[:, 5:15, 5:15].all()
    assert int(inside.sum()) == 4 * 100


def test_body_includes_a_lung_that_the_field_of_view_cuts_open() -> None:
    image = torch.full((4, 20, 20), 40.0)
    image[:, 5:15, :10] = -850  # it reaches the image's edge
    assert body(image, "CT").all()


def test_body_outside_ct_leaves_only_the_lowest_value_out() -> None:
    image = torch.zeros(4, 10, 10)
    image[1:3, 2:5, 2:5] = 0.01
    inside = body(image, "MR")
    assert int(inside.sum()) == 2 * 9


def test_box_is_the_smallest_one() -> None:
    mask = torch.zeros(4, 10, 10, dtype=torch.bool)
    assert box(mask) is None
    mask[1, 2, 8] = mask[2, 5, 3] = True
    assert box(mask) == (slice(1, 3), slice(2, 6), slice(3, 9))
