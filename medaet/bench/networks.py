"""Networks to measure with: the cost of a real one, and labels that make sense without any training."""

import torch
from monai.networks.nets.unet import UNet
from torch import nn
from torch.nn import functional

LOWEST_HU, HIGHEST_HU = -1000.0, 400.0
TISSUES_HU = (-1000.0, -800.0, -100.0, 40.0, 300.0)
"""Air, lung, fat, soft tissue, bone."""
WIDTH_HU = 100.0
ABSENT = -70.0
"""Logit of classes that are nowhere to be found, as most of a hundred are in any one place."""


class Tissues(nn.Module):
    """A U-Net whose answer is overruled by one that can be foreseen: the tissue class of the smoothed HU.

    The U-Net (random weights) costs what it costs and adds noise far too small to change a label.

    Args:
        classes: At least the five tissues.
        channels: Of the U-Net's levels; MONAI's bundles have 16 to 256.
    """

    def __init__(
        self, classes: int = 5, channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    ) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.classes = classes
        self.network = UNet(
            spatial_dims=3,
            in_channels=1,
            out_channels=8,
            channels=channels,
            strides=(2,) * (len(channels) - 1),
            num_res_units=2,
            norm="batch",
        )
        self.head = nn.Conv3d(8, classes, 1)
        self.register_buffer("centres", torch.tensor(TISSUES_HU).reshape(1, -1, 1, 1, 1))

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, class, slice, row, column)."""
        noise = self.head(self.network(windows)) * 1e-4
        values = (windows + 1) / 2 * (HIGHEST_HU - LOWEST_HU) + LOWEST_HU
        middles: torch.Tensor = self.get_buffer("centres")
        smooth = functional.avg_pool3d(values, 3, stride=1, padding=1, count_include_pad=False)
        logits = -(((smooth - middles) / WIDTH_HU) ** 2).clamp(max=60)
        whole: torch.Tensor = (
            functional.pad(logits, [0] * 6 + [0, self.classes - 5], value=ABSENT) + noise
        )
        return whole


def intensity(image: torch.Tensor) -> torch.Tensor:
    """Map HU to -1 (air) to 1 (bone)."""
    return (image.clamp(LOWEST_HU, HIGHEST_HU) - LOWEST_HU) / (HIGHEST_HU - LOWEST_HU) * 2 - 1
