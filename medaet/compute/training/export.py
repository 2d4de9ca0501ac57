"""The trained network as a folder that can be imported: a MONAI bundle, and beside it all that inference must repeat.

NAME/
  training.json             plan, structures, codes: how to show the network a scan
  models/model.safetensors  the weights; model.pt, model.ts, model.pt2 and model.onnx hold the same network
  configs/                  metadata.json and inference.json of a MONAI bundle
  docs/                     README.md (the model card), report.html, report.png, validation.json
  reference/                scans and the masks found on them in fp32, for the gate of reduced precisions
"""

import hashlib
import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import monai
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from medaet.compute.trained.model import MANIFEST, WEIGHTS
from medaet.compute.trained.plan import Plan
from medaet.compute.training.prepare import Prepared
from medaet.config.training import TrainingConfig
from medaet.dicom.volume import Volume
from medaet.plugin.folder import save_volume

CARD = "docs/README.md"
REFERENCE = "reference"
FORMAT = 1

Shown = Mapping[str, tuple[Volume, NDArray[np.uint8]]]


def export(folder: Path, run: Prepared, network: nn.Module, references: Shown) -> str:
    """Write everything but the card and the report, which need the hash of the weights.

    Args:
        folder: Made anew.
        run: What was trained.
        network: On the CPU, in evaluation mode.
        references: Scans and the labels found on them, by name.

    Returns:
        SHA-256 of the safetensors file, in hexadecimal.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("models", "configs", "docs", REFERENCE):
        (folder / name).mkdir(parents=True)
    weights = {name: one.detach().cpu().contiguous() for name, one in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # safetensors lets only the owner read
    torch.save(weights, folder / "models" / "model.pt")
    compiled(folder / "models", network, run.plan)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    _write_json(folder / MANIFEST, manifest(run.config, run.plan, digest))
    _write_json(folder / "configs" / "metadata.json", _metadata(run.config, run.plan))
    _write_json(folder / "configs" / "inference.json", _inference(run.plan))
    for name, (volume, labels) in references.items():
        save_volume(volume, folder / REFERENCE / name)
        np.save(folder / REFERENCE / name / "labels.npy", labels, allow_pickle=False)
    return digest


def manifest(config: TrainingConfig, plan: Plan, weights_sha256: str) -> dict[str, object]:
    """Say all that inference must repeat, and what the results mean."""
    return {
        "format": FORMAT,
        "name": config.name,
        "version": config.version,
        "title": config.title,
        "intended_use": config.card.intended_use,
        "licence": config.card.licence,
        "modality": config.modality or (plan.modality,),
        "body_part": config.body_part,
        "weights_sha256": weights_sha256,
        "plan": asdict(plan),
        "structures": [
            one.model_dump(mode="json", exclude={"names", "label"}) for one in config.structures
        ],
        "limits": config.limits.model_dump(mode="json"),
    }


def compiled(folder: Path, network: nn.Module, plan: Plan) -> None:
    """Write the network as TorchScript, as torch.export program and as ONNX, compared with the original.

    Raises:
        RuntimeError: one of them answers otherwise; PyTorch is at fault then, and nothing is exported.
    """
    window = torch.rand((1, 1, *plan.patch)) * 2 - 1
    with torch.inference_mode():
        expected = network(window)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of deprecated tracers; the comparison says whether they did their work
        traced = torch.jit.trace(network, window)  # type: ignore[no-untyped-call]
        traced.save(str(folder / "model.ts"))
        batch = torch.export.Dim("batch", min=1, max=64)
        program = torch.export.export(
            network, (torch.cat([window, window]),), dynamic_shapes=({0: batch},)
        )
        torch.export.save(program, folder / "model.pt2")
        torch.onnx.export(
            network,
            (window,),
            str(folder / "model.onnx"),
            dynamo=False,
            input_names=["image"],
            output_names=["pred"],
            dynamic_axes={"image": {0: "batch"}, "pred": {0: "batch"}},
        )
    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    with torch.inference_mode():
        _check_same(expected, _loaded(folder / "model.ts")(window), "TorchScript")
        _check_same(
            expected, torch.export.load(folder / "model.pt2").module()(window), "torch.export"
        )


def _loaded(path: Path) -> nn.Module:
    loaded: nn.Module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return loaded


def _check_same(expected: torch.Tensor, got: torch.Tensor, what: str) -> None:
    error = float((expected - got).abs().max())
    if error > 1e-3 * max(1.0, float(expected.abs().max())):
        raise RuntimeError(f"the {what} form of the network answers otherwise, by up to {error:g}")


def _metadata(config: TrainingConfig, plan: Plan) -> dict[str, object]:
    """Describe the bundle as MONAI's metadata schema does."""
    window = list(plan.patch)
    described = {"type": "image", "format": "hounsfield" if plan.modality == "CT" else "magnitude"}
    return {
        "name": config.title or config.name,
        "version": config.version,
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {},
        "task": "segmentation",
        "description": config.title or config.name,
        "intended_use": config.card.intended_use,
        "license": config.card.licence,
        "authors": "",
        "copyright": "",
        "network_data_format": {
            "inputs": {
                "image": {
                    **described,
                    "modality": plan.modality,
                    "num_channels": 1,
                    "spatial_shape": window,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": {"0": "image"},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": plan.classes,
                    "spatial_shape": window,
                    "dtype": "float32",
                    "value_range": [0, plan.classes - 1],
                    "is_patch_data": True,
                    "channel_def": {
                        str(number): name
                        for number, name in enumerate(("background", *plan.structures))
                    },
                }
            },
        },
    }


def _inference(plan: Plan) -> dict[str, object]:
    """Configure MONAI's own runner; axes are its usual ones, and so another order than in training.json."""
    scaling: Sequence[dict[str, object]] = (
        [
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "image",
                "a_min": plan.intensity[0],
                "a_max": plan.intensity[1],
                "b_min": -1,
                "b_max": 1,
                "clip": True,
            }
        ]
        if plan.intensity is not None
        else [
            {"_target_": "ClipIntensityPercentilesd", "keys": "image", "lower": 0.5, "upper": 99.5},
            {"_target_": "NormalizeIntensityd", "keys": "image"},
        ]
    )
    spacing = list(plan.spacing_mm)
    return {
        "bundle_root": ".",
        "image_key": "image",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": "torch.jit.load", "f": "$@bundle_root + '/models/model.ts'"},
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                # slices to the head, rows to the back, columns to the left
                {"_target_": "Orientationd", "keys": "image", "axcodes": plan.orientation},
                *scaling,
                {"_target_": "Spacingd", "keys": "image", "pixdim": spacing, "mode": "bilinear"},
                {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(plan.patch),
            "sw_batch_size": 1,
            "overlap": plan.overlap,
            "mode": "gaussian",
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd",
                    "keys": "pred",
                    "transform": "@preprocessing",
                    "orig_keys": "image",
                    "nearest_interp": False,
                    "to_tensor": True,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            ],
        },
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, default=str), encoding="utf-8")
