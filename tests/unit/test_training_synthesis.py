"""Maps of tissue, and images made from them."""

import numpy as np
import torch
from numpy.typing import NDArray

from medaet.compute.training.synthesis import synthetic
from medaet.compute.training.tissue import label_of, parted

PARTS, SHAPE = 4, (12, 40, 40)
AIR, BONE, GREY = 0, 1, PARTS


def _head() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return a head of shells, as MR shows it: bright scalp, bone as dark as air, a brain of two tissues."""
    middle = np.array([20.0, 20.0])
    away = np.linalg.norm(np.moveaxis(np.indices(SHAPE[1:]), 0, -1) - middle, axis=-1)
    plane = np.zeros(SHAPE[1:], dtype=np.float32)
    plane[away < 18] = 3.0
    plane[away < 14] = 0.0
    plane[away < 10] = 1.5
    plane[away < 6] = 2.0
    labels = np.broadcast_to(away < 10, SHAPE).astype(np.uint8)
    return np.broadcast_to(plane, SHAPE).astype(np.float32), labels


def test_bone_is_no_air_although_mr_shows_both_dark() -> None:
    tissue = parted(*_head(), PARTS, structures=1)
    assert (tissue[6, 1, 1], tissue[6, 20, 20 + 12]) == (AIR, BONE)
    assert tissue[6, 20, 20 + 16] not in {AIR, BONE}


def test_a_structure_has_two_tissues_and_its_label_comes_back() -> None:
    image, labels = _head()
    tissue = parted(image, labels, PARTS, structures=1)
    assert set(np.unique(tissue[labels == 1])) == {GREY, GREY + 1}
    assert np.array_equal(label_of(tissue, PARTS), labels)


def test_each_synthetic_image_has_a_contrast_of_its_own_and_repeats_with_its_seed() -> None:
    tissue = torch.from_numpy(parted(*_head(), PARTS, structures=1)).float()[None, None]
    made = [
        synthetic(tissue, np.random.default_rng(seed), torch.Generator().manual_seed(seed))
        for seed in (*range(8), 0)
    ]
    assert torch.equal(made[0], made[-1])
    brain, scalp = tissue >= GREY, (tissue > BONE) & (tissue < GREY)
    brighter = {bool(one[brain].mean() > one[scalp].mean()) for one in made}
    assert brighter == {True, False}
    assert all(abs(float(one.mean())) < 1e-4 for one in made)


def test_some_synthetic_images_show_bone_brightest_and_all_soft_tissue_alike() -> None:
    tissue = torch.from_numpy(parted(*_head(), PARTS, structures=1)).float()[None, None]
    bone, soft = tissue == BONE, tissue > BONE
    alike = 0
    for seed in range(24):
        image = synthetic(tissue, np.random.default_rng(seed), torch.Generator().manual_seed(seed))
        means = [float(image[tissue == one].mean()) for one in torch.unique(tissue[soft])]
        span = max(means) - min(means)
        alike += float(image[bone].mean()) - max(means) > 2 * span
    assert 2 <= alike < 16
