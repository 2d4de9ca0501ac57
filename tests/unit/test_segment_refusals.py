"""Networks whose output cannot be used are refused, saying why."""

import pytest
import torch
from torch import nn

from medaet.compute.orient import Orientation
from medaet.compute.segment import prepare, segment
from medaet.errors import FindingsError, PluginError
from medaet.plugin.recipe import Recipe


def _segment(network: nn.Module) -> torch.Tensor:
    recipe = Recipe((1.0, 1.0, 1.0), window=(8, 8, 8))
    prepared = prepare(torch.zeros(1, 8, 8, 8), (1, 1, 1), Orientation(), recipe, "CT")
    return segment(prepared, network, recipe)


@torch.inference_mode()
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    class Broken(nn.Module):
        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            logits = torch.cat([windows, windows], dim=1)
            logits[0, 0, 3, 3, 3] = value
            return logits

    with pytest.raises(FindingsError, match="not finite"):
        _segment(Broken())


@torch.inference_mode()
def test_an_output_on_another_grid_is_refused() -> None:
    with pytest.raises(PluginError, match=r"\(1, 2, 4, 4, 4\)"):
        _segment(nn.Conv3d(1, 2, 2, stride=2))


@torch.inference_mode()
def test_more_classes_than_labels_can_name_are_refused() -> None:
    with pytest.raises(PluginError, match="256 classes"):
        _segment(nn.Conv3d(1, 256, 1))
