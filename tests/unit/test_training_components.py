"""Connected parts of structures."""

import numpy as np

from medaet.compute.trained.components import count, kept


def _labels() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    labels = np.zeros((1, 6, 20), dtype=np.uint8)
    labels[0, 1:5, 1:6] = 1
    labels[0, 1:3, 8:10] = 1
    labels[0, 1, 12] = 2
    labels[0, 3, 14:17] = 2
    return labels


def test_count_of_parts_leaves_crumbs_out() -> None:
    mask = np.zeros((1, 20, 20), dtype=np.bool_)
    assert count(mask) == 0
    mask[0, :12] = True
    assert count(mask) == 1
    mask[0, 15, 3] = True  # one of 241 voxels
    assert count(mask) == 1
    mask[0, 17:] = True
    assert count(mask) == 2


def test_only_the_largest_parts_are_kept_of_each_structure() -> None:
    labels = _labels()
    found = kept(labels, (1, 0))
    assert np.array_equal(found == 1, (labels == 1) & (np.arange(20) < 7))
    assert np.array_equal(found == 2, labels == 2)
    assert np.array_equal(kept(labels, (2, 1)) == 2, (labels == 2) & (np.arange(20) > 13))
