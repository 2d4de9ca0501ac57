"""MONAI bundles: read as data, refused where they carry code, and as good as `monai.bundle run`."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medaet.demo.scans import write_scan
from medaet.dicom.volume import read_volume
from medaet.errors import PluginError
from medaet.plugin.kind import Answers
from medaet.plugin.model import Model
from medaet_plugins.monai_bundle import MonaiBundle
from medaet_plugins.monai_bundle.inference import Bundle, _use_scripts

DATA = Path(__file__).parents[1] / "data"
CROP = (slice(20), slice(100, 300), slice(120, 400))

pytestmark = pytest.mark.filterwarnings("ignore")  # MONAI warns of its own defaults


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle that `monai.bundle.init_bundle` wrote, trained on the bundled chest CT."""
    folder = tmp_path / "thorax_bundle"
    with zipfile.ZipFile(DATA / "thorax-bundle.zip") as archive:
        archive.extractall(folder)
    return folder


def _edit(folder: Path, change: Callable[[dict[str, Any]], None], name: str = "inference") -> None:
    path = folder / "configs" / f"{name}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _packed(bundle: Path, answers: Answers = Answers()) -> tuple[Path, Model]:  # noqa: B008
    folder = bundle.parent / "packed"
    folder.mkdir()
    model = MonaiBundle.describe(bundle, answers)
    MonaiBundle.pack(bundle, folder, model)
    return folder, model


def test_metadata_says_modality_and_labels(bundle: Path) -> None:
    assert MonaiBundle.recognises(bundle)
    model = MonaiBundle.describe(bundle, Answers())
    assert (model.name, model.version) == ("thorax-bundle", "0.1.0")
    assert {role: one.modality for role, one in model.inputs.items()} == {"image": "CT"}
    assert [(one.label, one.values) for one in model.outputs] == [("lung", (1,)), ("bone", (2,))]
    assert not model.overlapping


def test_labels_equal_those_of_monai_bundle_run(bundle: Path) -> None:
    """The expected labels are those that `python -m monai.bundle run` of MONAI 1.6.1 wrote for the same crop."""
    expected = np.load(DATA / "thorax-bundle-labels.npz")["labels"]
    whole = read_volume(write_scan("chest-ct", bundle.parent / "scan"))
    affine = whole.affine.copy()
    affine[:3, 3] = (whole.affine @ [CROP[2].start, CROP[1].start, 0, 1])[:3]
    volume = replace(whole, voxels=whole.voxels[CROP], affine=affine)
    folder, _ = _packed(bundle)
    found = Bundle(folder, "cpu", channels=1).predict([volume])
    assert found.shape == (1, *expected.shape)
    for value in (1, 2):
        mine, theirs = found[0] == value, expected == value
        assert 2 * np.count_nonzero(mine & theirs) / (mine.sum() + theirs.sum()) >= 0.9999


def test_pack_keeps_only_what_inference_needs(bundle: Path) -> None:
    folder, _ = _packed(bundle)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    kept = json.loads((folder / "config.json").read_text())["config"]
    assert sorted(kept) == [
        "image_key",
        "inferer",
        "network_def",
        "postprocessing",
        "preprocessing",
    ]
    assert "glob" not in json.dumps(kept)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x"}, "lambda"),
        ({"_target_": "os.system", "command": "touch ran"}, "os.system"),
        ({"_target_": "monai.apps.utils.download_url", "url": "http://a"}, "download_url"),
        ({"_target_": "scripts.steps.Mine", "keys": "image"}, "scripts.steps.Mine"),
        (
            {"_target_": "Spacingd", "keys": "image", "pixdim": "$__import__('os').getcwd()"},
            "import",
        ),
        ({"_target_": "Spacingd", "keys": "image", "pixdim": "$torch.load('a')"}, "torch.load"),
        ({"_target_": "Spacingd", "keys": "%other.json::image"}, "%other.json"),
    ],
    ids=lambda one: one if isinstance(one, str) else str(one["_target_"]),
)
def test_code_is_refused_without_trust(bundle: Path, step: dict[str, str], words: str) -> None:
    _edit(bundle, lambda config: config["preprocessing"]["transforms"].append(step))
    with pytest.raises(PluginError, match="--trust") as caught:
        _packed(bundle)
    assert words in str(caught.value)


def test_trusted_code_runs(bundle: Path) -> None:
    scripts = bundle / "scripts"
    scripts.mkdir()
    (scripts / "__init__.py").write_text("")
    (scripts / "steps.py").write_text(
        "class Mine:\n    def __call__(self, case):\n        return case\n"
    )
    _edit(
        bundle,
        lambda config: config["preprocessing"]["transforms"].append(
            {"_target_": "scripts.steps.Mine"}
        ),
    )
    folder, model = _packed(bundle, Answers(trust=True))
    assert model.origin.trusted
    assert (folder / "scripts" / "steps.py").is_file()


def test_two_trusted_bundles_each_have_their_own_scripts(bundle: Path) -> None:
    for value in (1.0, 2.0):
        folder = bundle.parent / f"packed-{value:g}"
        (folder / "scripts").mkdir(parents=True)
        (folder / "scripts" / "__init__.py").write_text("")
        step = f"class Mine:\n    def __call__(self, case):\n        return {value}\n"
        (folder / "scripts" / "steps.py").write_text(step)
        (folder / "config.json").write_text("{}")
        _use_scripts(folder)
        assert import_module("scripts.steps").Mine()({}) == value


def test_sigmoid_channels_may_overlap_and_are_not_joined(bundle: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        after = config["postprocessing"]["transforms"]
        after[0] = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
        after[2] = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}
        after.append({"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: x[0]"})

    _edit(bundle, change)
    folder, model = _packed(bundle)
    assert model.overlapping
    assert "Lambdad" not in (folder / "config.json").read_text()


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (lambda one: one.pop("inferer"), "inference", "no 'inferer'"),
        (lambda one: one.pop("network_data_format"), "metadata", "network_data_format"),
        (
            lambda one: one["network_data_format"]["outputs"]["pred"].update(
                type="text", format="report"
            ),
            "metadata",
            "classifications and detections can be imported",
        ),
        (
            lambda one: one["network_data_format"]["inputs"]["image"].update(modality="US"),
            "metadata",
            "--modality CT or MR",
        ),
        (lambda one: one["network_def"].update(channels=[4, 16, 32]), "inference", "do not fit"),
        (lambda one: one["network_def"].update(img_size=3), "inference", "img_size"),
    ],
)
def test_bundle_is_refused_with_its_reason(
    bundle: Path, change: Callable[[dict[str, Any]], None], name: str, words: str
) -> None:
    _edit(bundle, change, name)
    with pytest.raises(PluginError, match=words):
        _packed(bundle)


def test_bundle_without_weights_is_refused(bundle: Path) -> None:
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(PluginError, match="no weights in models/"):
        _packed(bundle)
