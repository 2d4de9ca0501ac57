"""LinkNet in three dimensions: an encoder of residual blocks, and a decoder that adds the encoder's outputs.

The architecture of deepbet (Fisch et al., "deepbet: Fast brain extraction of T1-weighted MRI using Convolutional Neural
Networks", Computers in Biology and Medicine 179, 2024), after LinkNet (Chaurasia and Culurciello, 2017), written anew;
the names of the layers are those of its published weights.
"""

from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import nn

CHANNELS = (16, 16, 32, 64, 128)
CLASSES = 2


class LinkNet3d(nn.Module):
    """Maps (batch, 1, D, H, W) to class probabilities (batch, 2, D, H, W); D, H and W are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        first = CHANNELS[0]
        self.init = nn.Sequential(
            nn.Conv3d(1, first, 7, stride=2, padding=3, bias=False),
            nn.InstanceNorm3d(first),
            nn.ReLU(),
            nn.MaxPool3d(3, stride=2, padding=1),
        )
        self.down0 = Down(CHANNELS[0], CHANNELS[1], stride=1)
        self.down1 = Down(CHANNELS[1], CHANNELS[2], stride=2)
        self.down2 = Down(CHANNELS[2], CHANNELS[3], stride=2)
        self.down3 = Down(CHANNELS[3], CHANNELS[4], stride=2)
        self.up0 = Up(CHANNELS[4], CHANNELS[3], stride=2)
        self.up1 = Up(CHANNELS[3], CHANNELS[2], stride=2)
        self.up2 = Up(CHANNELS[2], CHANNELS[1], stride=2)
        self.up3 = Up(CHANNELS[1], CHANNELS[0], stride=1)
        half = first // 2
        self.tp_conv1 = nn.Sequential(
            nn.ConvTranspose3d(first, half, 3, stride=2, padding=1, output_padding=1),
            nn.InstanceNorm3d(half),
            nn.ReLU(),
        )
        self.conv = nn.Sequential(
            nn.Conv3d(half, half, 3, padding=1), nn.InstanceNorm3d(half), nn.ReLU()
        )
        self.tp_conv2 = nn.ConvTranspose3d(half, CLASSES, 2, stride=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the probability of each class at each voxel."""
        zero = self.init(image)
        one = self.down0(zero)
        two = self.down1(one)
        three = self.down2(two)
        found = self.up0(self.down3(three)) + three
        found = self.up1(found) + two
        found = self.up2(found) + one
        found = self.up3(found) + zero
        found = self.tp_conv2(self.conv(self.tp_conv1(found)))
        return torch.softmax(found, dim=1)


class Down(nn.Module):
    """Two residual blocks, of which the first may halve the resolution."""

    def __init__(self, channels: int, wider: int, *, stride: int) -> None:
        super().__init__()
        self.block1 = Block(channels, wider, stride=stride)
        self.block2 = Block(wider, wider, stride=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pass through both blocks."""
        return cast(torch.Tensor, self.block2(self.block1(features)))


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels: int, wider: int, *, stride: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv3d(channels, wider, 3, stride=stride, padding=1, bias=False),
            nn.InstanceNorm3d(wider),
            nn.ReLU(),
            nn.Conv3d(wider, wider, 3, padding=1, bias=False),
            nn.InstanceNorm3d(wider),
        )
        self.downsample = (
            nn.Sequential(
                nn.Conv3d(channels, wider, 1, stride=stride, bias=False), nn.InstanceNorm3d(wider)
            )
            if stride != 1 or channels != wider
            else nn.Identity()
        )
        self.act = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Add the shortcut to the convolved features."""
        return cast(torch.Tensor, self.act(self.double_conv(features) + self.downsample(features)))


class Up(nn.Module):
    """A narrow transposed convolution between two that change the number of channels."""

    def __init__(self, channels: int, narrower: int, *, stride: int) -> None:
        super().__init__()
        inner = channels // 4
        self.conv1 = nn.Sequential(
            nn.Conv3d(channels, inner, 1, bias=False), nn.InstanceNorm3d(inner), nn.ReLU()
        )
        self.tp_conv = nn.Sequential(
            nn.ConvTranspose3d(
                inner, inner, 3, stride=stride, padding=1, output_padding=stride - 1, bias=False
            ),
            nn.InstanceNorm3d(inner),
            nn.ReLU(),
        )
        self.conv2 = nn.Sequential(
            nn.Conv3d(inner, narrower, 1, bias=False), nn.InstanceNorm3d(narrower), nn.ReLU()
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Raise the resolution by the stride."""
        return cast(torch.Tensor, self.conv2(self.tp_conv(self.conv1(features))))


def load_network(path: Path, device: str) -> LinkNet3d:
    """Read a network's weights from a safetensors file onto a device, ready for inference."""
    network = LinkNet3d()
    network.load_state_dict(load_file(path))
    return network.to(device).eval()
