"""Foreign bodies painted into training patches, and the part of a CT that is emptied."""

import numpy as np
import torch
from torch.nn import functional

from medaet.compute.training.foreign import grown, with_foreign_bodies

SHAPE, SPACING_MM = (1, 1, 8, 40, 40), (5.0, 2.5, 2.5)


def _patch() -> tuple[torch.Tensor, torch.Tensor]:
    """Return a patch with every brightness in it, and a structure in its middle."""
    image = torch.linspace(-1, 1, 40).expand(SHAPE).clone()
    label = torch.zeros(SHAPE)
    label[:, :, 2:6, 15:25, 15:25] = 2.0
    return image, label


def _painted(seed: int) -> torch.Tensor:
    image, label = _patch()
    generator = torch.Generator().manual_seed(seed)
    return with_foreign_bodies(image, label, SPACING_MM, np.random.default_rng(seed), generator)


def test_foreign_bodies_leave_structures_and_their_borders_as_they_are() -> None:
    image, label = _patch()
    near = grown(label > 0, (1, 2, 2))
    for seed in range(20):
        assert torch.equal(_painted(seed)[near], image[near])


def test_foreign_bodies_vary_and_repeat_with_their_seed() -> None:
    image, _ = _patch()
    painted = [_painted(seed) for seed in range(20)]
    assert torch.equal(painted[3], _painted(3))
    shares = [float((one != image).float().mean()) for one in painted]
    assert sum(share > 0.02 for share in shares) > 10
    assert all(share < 0.9 for share in shares)


def test_some_foreign_bodies_are_as_dark_as_air_and_some_as_bright_as_metal() -> None:
    image, _ = _patch()
    values = torch.cat([one[(one - image).abs() > 0.5] for one in map(_painted, range(20))])
    assert bool((values < -0.9).any())
    assert bool((values > 0.9).any())


def test_a_mask_grows_by_voxels_as_pooling_would_let_it() -> None:
    mask = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) > 0.97
    pooled = functional.max_pool3d(mask.float(), (3, 5, 5), 1, (1, 2, 2)) > 0
    assert torch.equal(grown(mask, (1, 2, 2)), pooled)
    assert torch.equal(grown(mask, (0, 0, 0)), mask)
