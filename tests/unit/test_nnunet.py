"""nnU-Net folders: described from their files, refused with the reason, and as good as nnU-Net itself."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from medaet.demo.scans import write_scan
from medaet.dicom.volume import read_volume
from medaet.errors import PluginError
from medaet.plugin.kind import Answers
from medaet_plugins.nnunet import NnUNet
from medaet_plugins.nnunet.inference import Predictor
from medaet_plugins.nnunet.plan import plan_of
from medaet_plugins.nnunet.windows import starts

DATA = Path(__file__).parents[1] / "data"
CROP = (slice(20), slice(100, 300), slice(120, 400))


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float(np.count_nonzero(a & b)) / float(np.count_nonzero(a) + np.count_nonzero(b))


@pytest.fixture(scope="session")
def thorax(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that nnU-Net trained on the bundled chest CT and exported itself."""
    folder = tmp_path_factory.mktemp("thorax")
    with zipfile.ZipFile(DATA / "thorax-nnunet.zip") as archive:
        archive.extractall(folder)
    return next(path.parent for path in folder.rglob("plans.json"))


@pytest.fixture
def broken(thorax: Path, tmp_path: Path) -> Path:
    """The same folder, to be changed."""
    copy = tmp_path / thorax.name
    for path in thorax.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(thorax)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return copy


def _edit(folder: Path, name: str, change) -> None:  # type: ignore[no-untyped-def]
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


def test_folder_says_modality_labels_and_configuration(thorax: Path) -> None:
    assert NnUNet.recognises(thorax)
    model = NnUNet.describe(thorax, Answers(body_part=("CHEST",)))
    assert model.name == "thorax"
    assert model.inputs["ct"].modality == "CT"
    assert model.inputs["ct"].body_part == ("CHEST",)
    assert [(one.label, one.values, one.code.value) for one in model.outputs] == [
        ("lung", (1,), "39607008"),
        ("bone", (2,), "272673000"),
    ]
    assert model.options == {"configuration": "3d_fullres"}


def test_labels_equal_those_of_nnunets_own_predictor(thorax: Path, tmp_path: Path) -> None:
    """The expected labels are nnunetv2 2.8.1's, of the same crop without mirroring."""
    expected = np.load(DATA / "thorax-nnunet-labels.npz")["labels"]
    volume = read_volume(write_scan("chest-ct", tmp_path / "scan"))
    packed = tmp_path / "packed"
    packed.mkdir()
    NnUNet.pack(thorax, packed, NnUNet.describe(thorax, Answers()))
    found = Predictor(packed, "cpu", mirror=False).predict([volume.voxels[CROP]], volume.spacing_mm)
    assert found.shape == expected.shape
    assert min(_dice(found == value, expected == value) for value in (1, 2)) >= 0.999


def test_pack_leaves_no_pickle(thorax: Path, tmp_path: Path) -> None:
    NnUNet.pack(thorax, tmp_path, NnUNet.describe(thorax, Answers()))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.json",
        "dataset.json",
        "fold_0.safetensors",
        "plans.json",
    ]


class _Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


def test_pickle_with_code_is_refused_without_trust(
    broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = broken / "fold_0" / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    torch.save({**content, "extra": _Code()}, path, pickle_module=pickle)
    model = NnUNet.describe(broken, Answers())
    packed = tmp_path / "packed"
    packed.mkdir()
    with pytest.raises(PluginError, match="--trust"):
        NnUNet.pack(broken, packed, model)
    assert not Path("ran").exists()
    trusted = NnUNet.describe(broken, Answers(trust=True))
    NnUNet.pack(broken, packed, trusted)
    assert Path("ran").exists()


def test_cascade_is_refused_with_its_reason(broken: Path) -> None:
    _edit(
        broken,
        "plans.json",
        lambda one: one["configurations"]["3d_fullres"].update(previous_stage="3d_lowres"),
    )
    with pytest.raises(PluginError, match="needs the output of 3d_lowres"):
        NnUNet.describe(broken, Answers())


def test_unknown_network_is_refused_with_its_name(broken: Path) -> None:
    def change(plans: dict[str, dict[str, dict[str, dict[str, str]]]]) -> None:
        architecture = plans["configurations"]["3d_fullres"]["architecture"]
        architecture["network_class_name"] = "primus.Primus"

    _edit(broken, "plans.json", change)
    with pytest.raises(PluginError, match="the network Primus is not one of"):
        NnUNet.describe(broken, Answers())


def test_modality_is_asked_for_when_channels_do_not_say_it(broken: Path) -> None:
    _edit(broken, "dataset.json", lambda one: one.update(channel_names={"0": "image"}))
    with pytest.raises(PluginError, match="--modality CT or --modality MR"):
        NnUNet.describe(broken, Answers())
    assert NnUNet.describe(broken, Answers(modality="MR")).inputs["image"].modality == "MR"


def test_other_weights_are_refused(broken: Path, tmp_path: Path) -> None:
    def change(plans: dict[str, dict[str, dict[str, dict[str, dict[str, list[int]]]]]]) -> None:
        own = plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
        own["features_per_stage"] = [4, 16, 32]

    _edit(broken, "plans.json", change)
    model = NnUNet.describe(broken, Answers())
    packed = tmp_path / "packed"
    packed.mkdir()
    with pytest.raises(PluginError, match="does not hold the weights of the network"):
        NnUNet.pack(broken, packed, model)


def test_regions_are_overlapping_outputs_of_one_label_map(broken: Path) -> None:
    _edit(
        broken,
        "dataset.json",
        lambda one: one.update(
            labels={"background": 0, "whole": [1, 2], "core": [2], "ignore": 3},
            regions_class_order=[1, 2],
        ),
    )
    model = NnUNet.describe(broken, Answers())
    assert [(one.label, one.values) for one in model.outputs] == [("whole", (1, 2)), ("core", (2,))]
    plans = json.loads((broken / "plans.json").read_text())
    dataset = json.loads((broken / "dataset.json").read_text())
    plan = plan_of(plans, dataset, {"configuration": "3d_fullres"})
    assert (plan.heads, plan.order) == (2, (1, 2))


@pytest.mark.parametrize(
    ("length", "expected"), [(64, [0]), (65, [0, 1]), (110, [0, 23, 46]), (128, [0, 32, 64])]
)
def test_windows_are_spread_evenly(length: int, expected: list[int]) -> None:
    assert starts(length, 64, 0.5) == expected
