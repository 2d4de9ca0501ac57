"""The pieces of brain-mr, without its weights."""

import numpy as np
import pytest
import torch

from medaet import Volume
from medaet.compute.runtime import Runtime
from medaet.compute.sliding import Network
from medaet.errors import FindingsError
from medaet_plugins.brain_mr.inference import DEVIATION, MEAN, Contrast, find_brain, tissue
from medaet_plugins.brain_mr.network import LinkNet3d

LPS_AXIAL = np.diag([1.0, 1.0, 1.0, 1.0])


def test_network_returns_probabilities_on_the_grid_of_its_input() -> None:
    with torch.inference_mode():
        found = LinkNet3d().eval()(torch.rand(1, 1, 32, 64, 64))
    assert found.shape == (1, 2, 32, 64, 64)
    assert torch.allclose(found.sum(1), torch.ones(()))


def _brighter_than(value: float) -> Network:
    def network(windows: torch.Tensor) -> torch.Tensor:
        inside = (windows > value).float()
        return torch.cat([1 - inside, inside], dim=1)

    return network


def test_the_brain_is_found_in_a_head_that_lies_any_way() -> None:
    voxels = np.full((30, 60, 70), 20, np.int16)
    voxels[10:20, 25:45, 30:60] = 400
    voxels[2, 3, 4] = 400  # a spot that does not touch it
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    network = _brighter_than(MEAN)
    found = find_brain(Volume(voxels, affine, "MR"), network, network, Runtime("cpu"))
    expected = voxels > 200
    expected[2, 3, 4] = False
    assert np.array_equal(found, expected)


def test_intensities_are_those_of_the_whole_head() -> None:
    contrast = Contrast()
    contrast(torch.linspace(0, 100, 1001).reshape(1, 1, 1, -1))
    inside = contrast(torch.tensor([0.0, 50.0, 1000.0]).reshape(1, 1, 1, 3))
    expected = torch.tensor([0.5, 50.0, 99.5])  # clipped to the percentiles of the first
    expected = (expected - expected.mean()) / expected.std() * DEVIATION + MEAN
    assert torch.allclose(inside.flatten(), expected, atol=1e-4)


def test_a_flat_image_is_refused() -> None:
    with pytest.raises(FindingsError, match="flat"):
        Contrast()(torch.ones(1, 2, 3, 4))


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
