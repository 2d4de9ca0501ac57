"""The two U-Nets that nnU-Net trains, with its names of parameters, so that its weights fit.

Written after the published architectures; convolution, normalisation and activation in that order.

Source:
    F. Isensee et al., Nature Methods 18 (2021) 203; residual encoder: F. Isensee et al., MICCAI 2024,
    doi:10.1007/978-3-031-72114-4_47; its blocks: K. He et al., CVPR 2016, with the pooled shortcut of ResNet-D.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from medaet.errors import PluginError
from medaet_plugins.nnunet.blocks import Parts, ResidualStack, Stack
from medaet_plugins.nnunet.norm import InstanceNorm3d

NORMS = {
    f"{name}{dimensions}d": getattr(nn, f"{name}{dimensions}d")
    for name in ("InstanceNorm", "BatchNorm")
    for dimensions in (2, 3)
} | {"InstanceNorm3d": InstanceNorm3d}
ACTIVATIONS = {name: getattr(nn, name) for name in ("LeakyReLU", "ReLU", "SiLU", "GELU", "ELU")}
UNSUPPORTED = ("squeeze_excitation", "nonlin_first", "disable_default_stem")


class Encoder(nn.Module):
    """Stages of ever coarser features, all of which are handed on."""

    def __init__(self, stages: Sequence[nn.Module], stem: nn.Module | None) -> None:
        super().__init__()
        if stem is not None:
            self.stem = stem
        self.stages = nn.Sequential(*stages)
        self.stemmed = stem is not None

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of each stage, the finest first."""
        x = self.stem(x) if self.stemmed else x
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class Decoder(nn.Module):
    """From the coarsest features back to the finest, joined with those of the encoder."""

    def __init__(self, parts: Parts, design: Mapping[str, Any], classes: int) -> None:
        super().__init__()
        features, stages = design["features_per_stage"], int(design["n_stages"])
        counts = _each(design["n_conv_per_stage_decoder"], stages - 1)
        kernels = _each(design["kernel_sizes"], stages)
        strides = _each(design["strides"], stages)
        up, joined, heads = [], [], []
        for number in range(1, stages):
            below, out = features[-number], features[-number - 1]
            up.append(parts.transposed(below, out, strides[-number]))
            kernel = kernels[-number - 1]
            joined.append(Stack(parts, counts[number - 1], 2 * out, out, kernel, 1))
            heads.append(parts.convolution(out, classes, 1, bias=True))
        self.transpconvs = nn.ModuleList(up)
        self.stages = nn.ModuleList(joined)
        self.seg_layers = nn.ModuleList(heads)

    def forward(self, skips: list[torch.Tensor]) -> torch.Tensor:
        """Return the logits of the finest stage; takes the skips out of the list, so that each goes early."""
        x = skips.pop()
        for up, stage in zip(self.transpconvs, self.stages, strict=True):
            x = torch.cat((up(x), skips.pop()), 1)
            for block in stage.convs:  # type: ignore[union-attr] # one by one: what a block was given goes behind it
                x = block(x)
        logits: torch.Tensor = self.seg_layers[-1](x)
        return logits


class UNet(nn.Module):
    """Either of the two; see `build`."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, *grid) to (batch, class, *grid) logits."""
        y: torch.Tensor = self.decoder(self.encoder(x))
        return y


def build(name: str, design: Mapping[str, Any], channels: int, classes: int) -> UNet:
    """Build a network without weights.

    Args:
        name: "PlainConvUNet" or "ResidualEncoderUNet".
        design: `arch_kwargs` of plans.json.
        channels: Of the input.
        classes: Of the output.

    Raises:
        PluginError: the design asks for something that is not supported.
    """
    for option in UNSUPPORTED:
        if design.get(option):
            raise PluginError(f"the network option {option} is not supported")
    stages = int(design["n_stages"])
    features = _each(design["features_per_stage"], stages)
    design = {**design, "features_per_stage": features}
    parts = _parts(design)
    kernels, strides = _each(design["kernel_sizes"], stages), _each(design["strides"], stages)
    rows = list(zip(features, kernels, strides, strict=True))
    if name == "PlainConvUNet":
        counts = _each(design["n_conv_per_stage"], stages)
        inside = [channels, *features[:-1]]
        made: list[nn.Module] = [
            nn.Sequential(Stack(parts, count, before, *row))
            for count, before, row in zip(counts, inside, rows, strict=True)
        ]
        return UNet(Encoder(made, None), Decoder(parts, design, classes))
    counts = _each(design["n_blocks_per_stage"], stages)
    first = design.get("stem_channels") or features[0]
    narrow = _each(design.get("bottleneck_channels"), stages)
    inside = [first, *features[:-1]]
    made = [
        ResidualStack(parts, count, before, *row, narrowed)
        for count, before, row, narrowed in zip(counts, inside, rows, narrow, strict=True)
    ]
    stem = Stack(parts, 1, channels, first, kernels[0], 1)
    return UNet(Encoder(made, stem), Decoder(parts, design, classes))


def canonical(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Keep one name of each parameter: checkpoints hold most of them two to four times."""
    kept = {}
    for name, value in weights.items():
        plain = name.removeprefix("_orig_mod.").removeprefix("module.")
        if ".all_modules." not in plain and not plain.startswith("decoder.encoder."):
            kept[plain] = value.detach().contiguous().clone()
    return kept


def _parts(design: Mapping[str, Any]) -> Parts:
    norm = str(design.get("norm_op")).rpartition(".")[2]
    activation = str(design.get("nonlin")).rpartition(".")[2]
    if norm not in NORMS or activation not in ACTIVATIONS:
        raise PluginError(f"a network with {norm} and {activation} is not supported")
    chosen, options = NORMS[norm], dict(design.get("norm_op_kwargs") or {})
    active = {k: v for k, v in (design.get("nonlin_kwargs") or {}).items() if k != "inplace"}
    if activation in ("LeakyReLU", "ReLU", "SiLU", "ELU"):
        active["inplace"] = True
    kernels = design["kernel_sizes"]
    dimensions = 2 if norm.endswith("2d") else len(kernels[0]) if isinstance(kernels, list) else 3
    return Parts(
        dimensions=dimensions,
        norm=lambda count: chosen(count, **options),
        activation=lambda: ACTIVATIONS[activation](**active),
        bias=bool(design.get("conv_bias", False)),
    )


def _each(value: Any, count: int) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] * count
