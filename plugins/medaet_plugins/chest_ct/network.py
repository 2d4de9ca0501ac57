"""The lung network, and the numbers that training and inference must agree on."""

from pathlib import Path

import torch
from monai.networks.nets.unet import UNet
from safetensors.torch import load_file

SPACING_MM = (5.0, 2.5, 2.5)
WINDOW = (32, 96, 96)
LOWEST_HU, HIGHEST_HU = -1000.0, 400.0
CLASSES = 2


def lung_network() -> UNet:
    """Make the network with fresh weights: (batch, 1, D, H, W) to logits (batch, 2, D, H, W)."""
    return UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=CLASSES,
        channels=(8, 16, 32, 64),
        strides=((1, 2, 2), (2, 2, 2), (2, 2, 2)),
        num_res_units=1,
        norm="batch",  # by the statistics of one window alone, a window without lung would show one
    )


def load_network(path: Path, device: str) -> UNet:
    """Read the trained weights onto a device, ready for inference."""
    network = lung_network()
    network.load_state_dict(load_file(path))
    return network.to(device).eval()


def intensity(image: torch.Tensor) -> torch.Tensor:
    """Map HU to -1 (air) to 1 (soft tissue and above)."""
    return (image.clamp(LOWEST_HU, HIGHEST_HU) - LOWEST_HU) / (HIGHEST_HU - LOWEST_HU) * 2 - 1
