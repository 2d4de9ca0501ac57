"""MONAI bundles that find boxes or classes: what they say equals what MONAI's own transforms make of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle.config_parser import ConfigParser
from monai.data.meta_tensor import MetaTensor

from medaet import Findings, Volume
from medaet.compute.runtime import Runtime
from medaet.errors import PluginError
from medaet.plugin.kind import Answers
from medaet.plugin.model import Model, digests
from medaet.worker.importing import smoke_volume
from medaet_plugins.monai_bundle import MonaiBundle
from medaet_plugins.monai_bundle.inference import _use_scripts

pytestmark = pytest.mark.filterwarnings("ignore")  # MONAI warns of its own defaults

FEATURES = """\
import torch
from monai.inferers import Inferer


class Features(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.out_channels = 8
        self.layer = torch.nn.Conv3d(1, 8, 3, stride=2, padding=1)

    def forward(self, x):
        first = self.layer(x).relu()
        return [first, torch.nn.functional.max_pool3d(first, 2)]


class Detecting(Inferer):
    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def __call__(self, inputs, network):
        self.detector.network = network
        self.detector.training = False
        return self.detector(inputs, use_inferer=False)
"""
BEFORE = [
    {"_target_": "LoadImaged", "keys": "image"},
    {"_target_": "EnsureChannelFirstd", "keys": "image"},
    {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
    {"_target_": "Spacingd", "keys": "image", "pixdim": [2.5, 2.5, 3.5]},
    {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -1000, "a_max": 300, "b_min": 0, "b_max": 1,
     "clip": True},
]  # fmt: skip
AFTER = [
    {"_target_": "ClipBoxToImaged", "box_keys": "box", "label_keys": ["label", "label_scores"],
     "box_ref_image_keys": "image", "remove_empty": True},
    {"_target_": "AffineBoxToWorldCoordinated", "box_keys": "box", "box_ref_image_keys": "image",
     "affine_lps_to_ras": False},
    {"_target_": "ConvertBoxModed", "box_keys": "box", "src_mode": "xyzxyz", "dst_mode": "xyzxyz"},
]  # fmt: skip
DETECTION: dict[str, Any] = {
    "device": "$torch.device('cpu')",
    "anchor_generator": {
        "_target_": "monai.apps.detection.utils.anchor_utils.AnchorGeneratorWithAnchorShape",
        "feature_map_scales": [1, 2],
        "base_anchor_shapes": [[6, 8, 4], [8, 6, 5]],
    },
    "feature_extractor": {"_target_": "scripts.features.Features"},
    "network_def": {
        "_target_": "RetinaNet", "spatial_dims": 3, "num_classes": 2, "num_anchors": 2,
        "feature_extractor": "@feature_extractor", "size_divisible": [4, 4, 4],
    },
    "network": "$@network_def.to(@device)",
    "detector": {
        "_target_": "RetinaNetDetector", "network": "@network", "anchor_generator": "@anchor_generator",
        "debug": False, "spatial_dims": 3, "num_classes": 2, "size_divisible": [4, 4, 4],
    },
    "detector_ops": [
        "$@detector.set_target_keys(box_key='box', label_key='label')",
        "$@detector.set_box_selector_parameters(score_thresh=0.0,topk_candidates_per_level=50,nms_thresh=0.22,"
        "detections_per_img=20)",
    ],
    "preprocessing": {"_target_": "Compose", "transforms": BEFORE},
    "inferer": {"_target_": "scripts.features.Detecting", "detector": "@detector"},
    "postprocessing": {"_target_": "Compose", "transforms": AFTER},
    "evaluator": {"_target_": "scripts.evaluator.DetectionEvaluator", "_requires_": "@detector_ops"},
}  # fmt: skip
CLASSIFICATION: dict[str, Any] = {
    "network_def": {
        "_target_": "DenseNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "init_features": 4,
        "growth_rate": 4, "block_config": [1, 1],
    },
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [*BEFORE, {"_target_": "Resized", "keys": "image", "spatial_size": [16, 16, 16]}],
    },
    "inferer": {"_target_": "SimpleInferer"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
    },
}  # fmt: skip


def write(folder: Path, config: dict[str, Any], prediction: dict[str, Any]) -> Path:
    for name in ("configs", "models", "scripts"):
        (folder / name).mkdir(parents=True)
    (folder / "scripts" / "__init__.py").write_text("")
    (folder / "scripts" / "features.py").write_text(FEATURES)
    (folder / "config.json").write_text("{}")
    metadata = {
        "name": "thorax", "version": "0.1",
        "network_data_format": {
            "inputs": {"image": {"type": "image", "modality": "CT", "num_channels": 1}},
            "outputs": {"pred": prediction},
        },
    }  # fmt: skip
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    torch.manual_seed(4)
    torch.save(
        parser(folder).get_parsed_content("network_def").state_dict(),
        folder / "models" / "model.pt",
    )
    (folder / "config.json").unlink()
    return folder


def parser(folder: Path) -> ConfigParser:
    _use_scripts(folder)
    return ConfigParser(json.loads((folder / "configs" / "inference.json").read_text()))


def packed(bundle: Path, *, trust: bool) -> tuple[Any, Model]:
    folder = bundle.parent / "packed"
    folder.mkdir()
    model = MonaiBundle.describe(bundle, Answers(trust=trust))
    MonaiBundle.pack(bundle, folder, model)
    model = model.model_copy(update={"files": digests(folder)})
    if model.task == "detection":
        model = model.model_copy(update={"options": {**model.options, "threshold": 0.0}})
    return MonaiBundle.analysis.of(model, folder)(), model


def oblique() -> Volume:
    """A scan whose slices run down and whose rows run from the left, as prone patients have them."""
    volume = smoke_volume("CT")
    affine = np.array([[-3.0, 0, 0, 70], [0, -3, 0, 20], [0, 0, 3, -40], [0, 0, 0, 1]])
    return Volume(volume.voxels, affine, "CT")


def expected(bundle: Path, volume: Volume) -> dict[str, Any]:
    """Run the bundle as MONAI does, with its own postprocessing: boxes in RAS mm."""
    made = parser(bundle)
    network = made.get_parsed_content("network_def")
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    network.eval()
    made.get_parsed_content("detector_ops")
    affine = np.diag([-1.0, -1, 1, 1]) @ volume.affine
    array = np.ascontiguousarray(volume.voxels.astype(np.float32).transpose(2, 1, 0))
    meta = {"original_channel_dim": "no_channel", "affine": affine, "space": "RAS"}
    case = {"image": MetaTensor(torch.from_numpy(array), affine=affine, meta=meta)}
    before = made.get_parsed_content("preprocessing")
    for step in before.transforms[1:]:  # the first one reads files
        case = step(case)
    with torch.inference_mode():
        (found,) = made.get_parsed_content("inferer")(case["image"][None], network)
    after: dict[str, Any] = made.get_parsed_content("postprocessing")(
        {**found, "image": case["image"]}
    )
    return after


def test_boxes_equal_those_of_the_bundles_own_postprocessing(tmp_path: Path) -> None:
    bundle = write(tmp_path / "bundle", DETECTION, {"type": "object", "format": "dict"})
    analysis, model = packed(bundle, trust=True)
    assert model.task == "detection"
    assert [one.label for one in model.outputs] == ["finding 1", "finding 2"]
    volume = oblique()
    wanted = expected(bundle, volume)
    runtime = Runtime("cpu")
    analysis.load(runtime)
    found: Findings = analysis.analyse({"image": volume}, runtime)
    assert 5 < len(found.detections) == len(wanted["box"])
    to_ras = np.diag([-1.0, -1, 1, 1]) @ volume.affine
    mine = {}
    for one in found.detections:
        corners = one.box.corners()[:, ::-1] @ to_ras[:3, :3].T + to_ras[:3, 3]
        mine[round(one.score, 6)] = [*corners.min(axis=0), *corners.max(axis=0)]
    for box, score in zip(wanted["box"].tolist(), wanted["label_scores"].tolist(), strict=True):
        assert mine[round(score, 6)] == pytest.approx(box, abs=1e-3)


def test_a_detector_whose_code_is_its_own_needs_trust(tmp_path: Path) -> None:
    bundle = write(tmp_path / "bundle", DETECTION, {"type": "object"})
    with pytest.raises(PluginError, match="--trust"):
        packed(bundle, trust=False)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_a_bundle_that_classifies_says_how_likely_each_class_is(
    sigmoid: bool, tmp_path: Path
) -> None:
    config = json.loads(json.dumps(CLASSIFICATION))
    if sigmoid:
        config["postprocessing"]["transforms"][0] = {
            "_target_": "Activationsd", "keys": "pred", "sigmoid": True,
        }  # fmt: skip
    names = {"0": "normal", "1": "emphysema", "2": "pneumonia"}
    prediction = {
        "type": "probabilities",
        "format": "classification",
        "num_channels": 3,
        "channel_def": names,
    }
    bundle = write(tmp_path / "bundle", config, prediction)
    analysis, model = packed(bundle, trust=False)
    assert model.task == "classification"
    runtime = Runtime("cpu")
    analysis.load(runtime)
    found: Findings = analysis.analyse({"image": smoke_volume("CT")}, runtime)
    assert [one.label for one in found.classifications] == ["normal", "emphysema", "pneumonia"]
    likely = [float(one.probability or 0) for one in found.classifications]
    present = [one.present for one in found.classifications]
    if sigmoid:
        assert present == [one >= 0.5 for one in likely]
    else:
        assert sum(likely) == pytest.approx(1)
        assert present == [one == max(likely) for one in likely]


def test_an_output_of_another_sort_is_refused_by_name(tmp_path: Path) -> None:
    bundle = write(tmp_path / "bundle", CLASSIFICATION, {"type": "text", "format": "report"})
    with pytest.raises(PluginError, match=r"'text'.*'report'"):
        MonaiBundle.describe(bundle, Answers())


def test_a_detector_on_torchvisions_backbone_is_refused_by_that_name(tmp_path: Path) -> None:
    bundle = write(tmp_path / "bundle", DETECTION, {"type": "object"})
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    config["backbone"] = {
        "_target_": "monai.networks.nets.resnet.resnet10",
        "spatial_dims": 3,
        "n_input_channels": 1,
    }
    config["feature_extractor"] = (
        "$monai.apps.detection.networks.retinanet_network.resnet_fpn_feature_extractor(@backbone,3,False,[1,2],None)"
    )
    (bundle / "configs" / "inference.json").write_text(json.dumps(config))
    with pytest.raises(PluginError, match="torchvision"):
        packed(bundle, trust=True)
