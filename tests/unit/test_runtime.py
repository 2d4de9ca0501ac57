"""The runtime, on networks whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from medaet import Volume
from medaet.compute.device import checked, devices
from medaet.compute.runtime import Runtime
from medaet.errors import ConfigError, PluginError


class Threshold(nn.Module):
    """Class 1 where the value is above one half."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([0.5 - image, image - 0.5], dim=1) * 100


def _volume() -> Volume:
    voxels = np.zeros((12, 20, 16), dtype=np.int16)
    voxels[4:8, 6:14, 4:12] = 1
    return Volume(voxels, np.diag([1.0, 1.0, 2.0, 1.0]), "CT")


def test_segment_returns_the_region_on_the_grid_of_the_volume() -> None:
    volume = _volume()
    labels = Runtime("cpu").segment(
        Threshold(), volume, spacing_mm=(2.0, 1.0, 1.0), window=(8, 16, 16)
    )
    assert np.array_equal(labels, volume.voxels)


def test_segment_at_another_spacing_keeps_the_region_within_a_voxel() -> None:
    volume = _volume()
    labels = Runtime("cpu").segment(
        Threshold(), volume, spacing_mm=(1.0, 2.0, 2.0), window=(16, 8, 8)
    )
    both = np.count_nonzero(labels.astype(bool) & volume.voxels.astype(bool))
    assert 2 * both / (np.count_nonzero(labels) + volume.voxels.sum()) > 0.9


def test_segment_hands_the_network_mapped_intensities() -> None:
    labels = Runtime("cpu").segment(
        Threshold(), _volume(), spacing_mm=(2.0, 1.0, 1.0), intensity=lambda image: image * 0
    )
    assert not labels.any()


def test_progress_reaches_the_callback() -> None:
    seen: list[tuple[float, str]] = []
    Runtime("cpu", lambda fraction, text: seen.append((fraction, text))).progress(0.5, "half")
    assert seen == [(0.5, "half")]


def test_load_weights_refuses_weights_of_another_network(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(PluginError, match=r"w\.safetensors"):
        Runtime("cpu").load_weights(nn.Linear(2, 2), tmp_path / "w.safetensors")


def test_segment_refuses_channels_on_different_grids() -> None:
    volume = _volume()
    moved = Volume(volume.voxels, np.diag([1.0, 1.0, 3.0, 1.0]), "CT")
    with pytest.raises(PluginError, match="same grid"):
        Runtime("cpu").segment(Threshold(), [volume, moved], spacing_mm=(2.0, 1.0, 1.0))


def test_checked_refuses_a_device_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="cuda:77"):
        checked("cuda:77")


def test_devices_names_at_least_one() -> None:
    assert devices("auto")
