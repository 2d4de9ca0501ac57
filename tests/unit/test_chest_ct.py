"""The pieces of chest-ct, without its weights."""

import numpy as np
import pytest

from medaet import Volume
from medaet_plugins.chest_ct.inference import emphysema_percent, left_and_right

SHAPE = (20, 40, 60)


def _volume(*, mirrored: bool = False) -> Volume:
    voxels = np.full(SHAPE, -960, dtype=np.int16)
    affine = np.diag([-4.0 if mirrored else 4.0, 4.0, 5.0, 1.0])
    return Volume(voxels, affine, "CT")


def _lungs(*, touching: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[2:18, 8:32, 4:26] = True
    mask[2:18, 8:32, 34:56] = True
    if touching:
        mask[10, 19:21, 26:34] = True
    return mask


@pytest.mark.parametrize("touching", [False, True])
def test_left_lung_is_the_one_with_larger_x(touching: bool) -> None:
    mask = _lungs(touching=touching)
    left, right = left_and_right(mask, _volume())
    assert left[10, 20, 50]
    assert right[10, 20, 10]
    assert not (left & right).any()
    assert np.array_equal(left | right, mask)


def test_left_lung_follows_the_direction_of_the_columns() -> None:
    left, right = left_and_right(_lungs(touching=False), _volume(mirrored=True))
    assert left[10, 20, 10]
    assert right[10, 20, 50]


def test_a_single_lung_is_put_on_its_side() -> None:
    mask = _lungs(touching=False)
    mask[:, :, :30] = False
    left, right = left_and_right(mask, _volume())
    assert left.any()
    assert not right.any()


def test_no_lung_gives_two_empty_masks() -> None:
    left, right = left_and_right(np.zeros(SHAPE, dtype=np.bool_), _volume())
    assert not left.any()
    assert not right.any()


def test_emphysema_percent_counts_voxels_below_the_threshold() -> None:
    volume = _volume()
    volume.voxels[:10] = -900
    mask = np.ones(SHAPE, dtype=np.bool_)
    assert emphysema_percent(mask, volume) == pytest.approx(50)


def test_emphysema_percent_of_nothing_is_none() -> None:
    assert emphysema_percent(np.zeros(SHAPE, dtype=np.bool_), _volume()) is None
