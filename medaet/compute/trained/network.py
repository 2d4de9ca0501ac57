"""The planned network, one of MONAI's."""

from collections.abc import Callable

import torch
from monai.networks.nets.dynunet import DynUNet
from monai.networks.nets.segresnet import SegResNet
from monai.networks.nets.unet import UNet
from torch import nn

from medaet.compute.trained.plan import Plan

KERNEL = 3


def build(plan: Plan, *, seed: int) -> nn.Module:
    """Make the network with fresh weights.

    Returns:
        Maps (batch, 1, *patch) to logits (batch, classes, *patch).
    """
    torch.manual_seed(seed)
    network: nn.Module = _BUILDERS[plan.network](plan)
    return network


def _unet(plan: Plan) -> nn.Module:
    network: nn.Module = UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=plan.classes,
        channels=plan.channels,
        strides=plan.strides,
        num_res_units=1,
        norm=_norm(plan),
    )
    return network


def _dynunet(plan: Plan) -> nn.Module:
    strides = ((1, 1, 1), *plan.strides)
    network: nn.Module = DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=plan.classes,
        kernel_size=[KERNEL] * len(strides),
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=list(plan.channels),
        norm_name=_norm(plan),
        res_block=True,
    )
    return network


def _segresnet(plan: Plan) -> nn.Module:
    network: nn.Module = SegResNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=plan.classes,
        init_filters=plan.channels[0],
        blocks_down=(1,) * len(plan.channels),
        blocks_up=(1,) * (len(plan.channels) - 1),
        norm=("group", {"num_groups": 8}) if plan.channels[0] % 8 == 0 else "batch",
    )
    return network


def _norm(plan: Plan) -> tuple[str, dict[str, bool]] | str:
    return ("instance", {"affine": True}) if plan.norm == "instance" else "batch"


_BUILDERS: dict[str, Callable[[Plan], nn.Module]] = {
    "unet": _unet,
    "dynunet": _dynunet,
    "segresnet": _segresnet,
}
