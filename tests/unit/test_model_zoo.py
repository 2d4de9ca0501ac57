"""Bundles of the shapes that MONAI's model zoo holds, with random weights: built and run, or refused with the reason.

Networks are MONAI's own classes with the zoo's arguments, made narrower; each configuration follows the zoo's.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle.config_parser import ConfigParser

from medaet.compute.runtime import Runtime
from medaet.errors import PluginError
from medaet.plugin.kind import Answers
from medaet.plugin.model import digests
from medaet.worker.importing import smoke_volume
from medaet_plugins.monai_bundle import MonaiBundle

pytestmark = pytest.mark.filterwarnings("ignore")  # MONAI warns of its own defaults

UNET = {
    "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
    "channels": [4, 8, 16, 32, 64], "strides": [2, 2, 2, 2], "num_res_units": 2, "norm": "batch",
}  # fmt: skip
SEGRESNET = {
    "_target_": "SegResNet", "blocks_down": [1, 2, 2, 4], "blocks_up": [1, 1, 1],
    "init_filters": 8, "in_channels": 1, "out_channels": 105, "dropout_prob": 0.2,
}  # fmt: skip
DYNUNET = {
    "_target_": "DynUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 4,
    "kernel_size": [3, 3, 3, 3], "strides": [1, 2, 2, 2], "upsample_kernel_size": [2, 2, 2],
    "filters": [4, 8, 16, 32], "norm_name": "INSTANCE", "deep_supervision": False, "res_block": True,
}  # fmt: skip
SWIN = {
    "_target_": "SwinUNETR", "spatial_dims": 3, "in_channels": 1, "out_channels": 14,
    "feature_size": 12, "use_checkpoint": False,
}  # fmt: skip
ATTENTION = {
    "_target_": "AttentionUnet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3,
    "channels": [4, 8, 16], "strides": [2, 2],
}  # fmt: skip


@dataclass(frozen=True)
class Zoo:
    """A bundle.

    Attributes:
        channels: What the inputs are called.
        sigmoid: Whether outputs overlap.
    """

    network: dict[str, Any]
    modality: str = "CT"
    channels: tuple[str, ...] = ("image",)
    sigmoid: bool = False
    window: int = 32
    further: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        return int(self.network["out_channels"])

    def write(self, folder: Path, *, weights: bool = True) -> Path:
        for name in ("configs", "models"):
            (folder / name).mkdir(parents=True)
        (folder / "configs" / "metadata.json").write_text(json.dumps(self._metadata()))
        (folder / "configs" / "inference.json").write_text(json.dumps(self._inference()))
        if weights:
            torch.manual_seed(1)
            network = ConfigParser({"net": self.network}).get_parsed_content("net")
            last = [one for one in network.parameters() if one.shape == (self.outputs,)]
            torch.nn.init.zeros_(last[-1])  # of the logits: no class wins everywhere
            torch.save(network.state_dict(), folder / "models" / "model.pt")
        return folder

    def _metadata(self) -> dict[str, Any]:
        names = {str(i): f"label {i}" for i in range(0 if self.sigmoid else 1, self.outputs)}
        image = {"type": "image", "num_channels": len(self.channels), "modality": self.modality,
                 "channel_def": {str(i): one for i, one in enumerate(self.channels)}}  # fmt: skip
        found = {"type": "image", "format": "segmentation", "num_channels": self.outputs,
                 "channel_def": names if self.sigmoid else {"0": "background", **names}}  # fmt: skip
        formats = {"inputs": {"image": image}, "outputs": {"pred": found}}
        return {"version": "0.1", "name": "zoo", "network_data_format": formats}

    def _inference(self) -> dict[str, Any]:
        scaling = (
            {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True}
            if self.modality == "MR"
            else {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -57, "a_max": 164,
                  "b_min": 0, "b_max": 1, "clip": True}
        )  # fmt: skip
        last = {"threshold": 0.5} if self.sigmoid else {"argmax": True}
        return {
            "bundle_root": ".",
            "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
            "network_def": self.network,
            "network": "$@network_def.to(@device)",
            "preprocessing": {"_target_": "Compose", "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
                {"_target_": "Spacingd", "keys": "image", "pixdim": [4, 4, 4], "mode": "bilinear"},
                scaling,
                {"_target_": "EnsureTyped", "keys": "image"},
            ]},
            "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [self.window] * 3,
                        "sw_batch_size": 2, "overlap": 0.25},
            "postprocessing": {"_target_": "Compose", "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "sigmoid": self.sigmoid, "softmax": not self.sigmoid},
                {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
                 "nearest_interp": False, "to_tensor": True},
                {"_target_": "AsDiscreted", "keys": "pred", **last},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "out"},
            ]},
            **self.further,
        }  # fmt: skip


BUILT = {
    "spleen": Zoo(UNET),
    "whole body, 104 classes": Zoo(SEGRESNET),
    "brats, four series, overlapping": Zoo(
        {**SEGRESNET, "in_channels": 4, "out_channels": 3}, "MR", ("t1c", "t1", "t2", "flair"), True
    ),
    "prostate": Zoo({**UNET, "out_channels": 3, "norm": "instance"}, "MR"),
    "paediatric abdomen": Zoo(DYNUNET),
    "ventricles": Zoo({**UNET, "channels": [4, 8, 16], "strides": [2, 2], "out_channels": 4}, "MR"),
    "btcv": Zoo(SWIN, window=64),
    "attention": Zoo(ATTENTION),
}


@pytest.mark.parametrize("name", BUILT)
def test_a_configuration_of_the_zoo_builds_and_runs(name: str, tmp_path: Path) -> None:
    zoo = BUILT[name]
    source, folder = zoo.write(tmp_path / "zoo_bundle"), tmp_path / "packed"
    folder.mkdir()
    model = MonaiBundle.describe(source, Answers())
    assert len(model.outputs) == zoo.outputs - (not zoo.sigmoid)
    assert (len(model.inputs), model.overlapping) == (len(zoo.channels), zoo.sigmoid)
    MonaiBundle.pack(source, folder, model)
    analysis = MonaiBundle.analysis.of(
        model.model_copy(update={"files": digests(folder)}), folder
    )()
    runtime, volume = Runtime("cpu"), smoke_volume(zoo.modality)
    analysis.load(runtime)
    found = analysis.analyse(dict.fromkeys(model.inputs, volume), runtime)
    assert len(found.segments) == len(model.outputs)
    masks = [one.voxels.whole() for one in found.segments]
    assert {one.shape for one in masks} == {volume.voxels.shape}
    assert any(one.any() for one in masks)
    assert zoo.sigmoid or np.sum(masks, axis=0).max() == 1


REFUSED: dict[str, tuple[Zoo, str]] = {
    "an argument that MONAI dropped": (Zoo({**SWIN, "img_size": [96, 96, 96]}), "img_size"),
    "a search code read from a file": (
        Zoo(
            {"_target_": "DiNTS", "dints_space": "@dints_space", "in_channels": 1, "out_channels": 2},
            further={
                "arch_ckpt": "$torch.load('models/search_code.pt')",
                "dints_space": {"_target_": "TopologyInstance", "arch_code": "@arch_ckpt"},
            },
        ),
        r"torch\.load",
    ),
    "a network in scripts": (Zoo({"_target_": "scripts.networks.unest.UNesT", "out_channels": 3}), "scripts"),
    "a class that MONAI has not": (Zoo({"_target_": "NoSuchNet", "out_channels": 2}), "NoSuchNet"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_configuration_of_the_zoo_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    zoo, words = REFUSED[name]
    source, folder = zoo.write(tmp_path / "zoo_bundle", weights=False), tmp_path / "packed"
    torch.save({"any": torch.zeros(1)}, source / "models" / "model.pt")
    folder.mkdir()
    with pytest.raises(PluginError, match=words):
        MonaiBundle.pack(source, folder, MonaiBundle.describe(source, Answers()))
