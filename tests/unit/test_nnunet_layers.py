"""What nnU-Net's networks are made of computes what torch's own layers compute."""

import pytest
import torch
from torch import nn

from medaet_plugins.nnunet.blocks import Conv3d
from medaet_plugins.nnunet.norm import InstanceNorm3d

LAYOUTS = (torch.contiguous_format, torch.channels_last_3d)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("affine", [True, False])
def test_normalisation_is_torchs_even_far_from_zero(
    layout: torch.memory_format, *, affine: bool
) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 8, 6, 40, 41) * torch.arange(1.0, 9)[:, None, None, None] + 20
    own, torchs = InstanceNorm3d(8, affine=affine), nn.InstanceNorm3d(8, affine=affine).double()
    if affine:
        own.weight.data, own.bias.data = torch.rand(8), torch.rand(8)
        torchs.load_state_dict({name: value.double() for name, value in own.state_dict().items()})
    with torch.inference_mode():
        expected = torchs(x.double())
        found = own(x.contiguous(memory_format=layout))
    assert (found - expected).abs().max() < 2e-5
    assert found.is_contiguous(memory_format=layout)


def test_normalisation_with_running_statistics_uses_them() -> None:
    x = torch.randn(1, 2, 4, 5, 6)
    own = InstanceNorm3d(2, track_running_stats=True).eval()
    with torch.inference_mode():
        assert torch.allclose(own(x), x, atol=1e-4)  # of nothing yet: mean 0, variance 1


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("inside", "stride", "bias"), [(1, 1, True), (8, 2, False)])
def test_convolution_of_one_window_is_torchs(
    layout: torch.memory_format, inside: int, stride: int, *, bias: bool
) -> None:
    torch.manual_seed(2)
    own = Conv3d(inside, 8, 3, stride, 1, bias=bias)
    torchs = nn.Conv3d(inside, 8, 3, stride, 1, bias=bias).double()
    torchs.load_state_dict({name: value.double() for name, value in own.state_dict().items()})
    x = torch.randn(1, inside, 9, 20, 21)
    with torch.inference_mode():
        expected = torchs(x.double())
        found = own(x.contiguous(memory_format=layout))
    assert (found - expected).abs().max() < 1e-5
