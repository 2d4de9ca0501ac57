"""Connected parts of masks."""

import numpy as np
import pytest
from scipy import ndimage

from medaet.compute.parts import Parts


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(5, 7, 9), (1, 1, 1), (1, 12, 3), (12, 1, 8), (9, 8, 1)])
def test_parts_are_those_of_scipy(shape: tuple[int, int, int], share: float) -> None:
    mask = np.random.default_rng(3).random(shape) < share
    labels, count = ndimage.label(mask)
    parts = Parts(mask)
    assert sorted(parts.sizes) == sorted(np.bincount(labels.ravel(), minlength=count + 1)[1:])
    for number in range(count):
        places = np.argwhere(labels == number + 1)
        assert np.array_equal(parts.mask(parts.at(*places[-1])), labels == number + 1)


def test_an_empty_mask_has_no_parts() -> None:
    parts = Parts(np.zeros((2, 3, 4), np.bool_))
    assert (list(parts.sizes), parts.largest(2)) == ([], [])
    assert not parts.mask().any()


def test_the_largest_come_first() -> None:
    mask = np.array([[[1, 0, 1, 1, 0, 1, 1, 1]]], np.bool_)
    parts = Parts(mask)
    assert [int(parts.sizes[one]) for one in parts.largest(2)] == [3, 2]
    assert np.flatnonzero(parts.mask(*parts.largest(2))).tolist() == [2, 3, 5, 6, 7]
