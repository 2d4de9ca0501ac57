"""The pieces of brain-mr, without its weights."""

import numpy as np
import pytest
import torch

from medaet import Volume
from medaet_plugins.brain_mr.inference import Canonical, tissue
from medaet_plugins.brain_mr.network import LinkNet3d

LPS_AXIAL = np.diag([1.0, 1.0, 1.0, 1.0])


def test_network_returns_probabilities_on_the_grid_of_its_input() -> None:
    with torch.inference_mode():
        found = LinkNet3d().eval()(torch.rand(1, 1, 32, 64, 64))
    assert found.shape == (1, 2, 32, 64, 64)
    assert torch.allclose(found.sum(1), torch.ones(()))


def test_canonical_axes_run_to_the_right_anterior_and_head() -> None:
    voxels = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    found = Canonical.of(LPS_AXIAL).apply(voxels)
    assert found.shape == (4, 3, 2)
    assert found[0, 0, 0] == voxels[0, 2, 3]  # LPS+ columns and rows run left and back
    assert found[0, 0, 1] == voxels[1, 2, 3]


@pytest.mark.parametrize("seed", range(6))
def test_canonical_axes_can_be_undone_for_any_orientation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.uniform(0.5, 5, 3)
    mask = rng.random((3, 4, 5)) > 0.5
    canonical = Canonical.of(affine)
    turned = canonical.apply(mask.astype(np.float32)) > 0.5
    assert np.array_equal(canonical.undo(turned), mask)


def _three_classes(fluid: float) -> tuple[Volume, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    rng = np.random.default_rng(0)
    values = np.repeat([fluid, 80.0, 105.0], [4000, 8000, 8000]).reshape(20, 20, 50)
    voxels = np.asarray(values + rng.normal(0, 3, values.shape), dtype=np.float32)
    return Volume(voxels, LPS_AXIAL, "MR"), np.ones(voxels.shape, dtype=np.bool_)


def test_tissue_leaves_out_fluid_that_is_dark() -> None:
    solid = tissue(*_three_classes(fluid=30.0))
    assert solid is not None
    assert solid.sum() == pytest.approx(16000, abs=50)


def test_tissue_does_not_guess_where_fluid_is_not_dark() -> None:
    assert tissue(*_three_classes(fluid=70.0)) is None
