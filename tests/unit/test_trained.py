"""What `medaet train` wrote becomes an analysis that finds what training judged."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from medaet.compute.runtime import Runtime
from medaet.compute.trained.model import TrainedModel
from medaet.compute.trained.network import build
from medaet.compute.trained.plan import Plan
from medaet.compute.training.export import manifest
from medaet.config.training import parse_training
from medaet.errors import PluginError
from medaet.plugin.kind import Answers
from medaet.plugin.model import digests
from medaet.plugin.registry import discover
from medaet.precision import Terms
from medaet.worker.importing import recognised, smoke_volume
from medaet_plugins.trained import Trained

CONFIG = {
    "name": "bones",
    "title": "Bones",
    "body_part": ["CHEST"],
    "data": [{"kind": "pairs", "path": "."}],
    "structures": [
        {"name": "Rib", "label": 1, "code": {"value": "113197003", "meaning": "Rib"}},
        {"name": "Left lung", "label": 2},
    ],
}


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The folder of a network that was never trained; its metadata make a MONAI bundle of it, too."""
    plan = Plan(
        modality="CT", structures=("Rib", "Left lung"), spacing_mm=(3.0, 3.0, 3.0), patch=(16, 16, 16),
        batch=2, steps_per_epoch=1, network="unet", channels=(4, 8), strides=((2, 2, 2),),
        norm="instance", intensity=(-1000.0, 400.0), mirror=(2,), parts=(0, 1),
    )  # fmt: skip
    folder = tmp_path / "model"
    for name in ("models", "configs", "docs", "reference"):
        (folder / name).mkdir(parents=True)
    save_file(dict(build(plan, seed=3).state_dict()), folder / "models" / "model.safetensors")
    digest = hashlib.sha256((folder / "models" / "model.safetensors").read_bytes()).hexdigest()
    config = parse_training(CONFIG, tmp_path, "train.toml")
    (folder / "training.json").write_text(json.dumps(manifest(config, plan, digest), default=str))
    (folder / "configs" / "metadata.json").write_text("{}")
    (folder / "docs" / "README.md").write_text("# Bones")
    return folder


def test_the_folder_of_a_training_run_is_described_by_its_own_words(exported: Path) -> None:
    assert recognised(discover(), exported) is Trained
    model = Trained.describe(exported, Answers())
    assert (model.name, model.title, model.inputs["image"].body_part) == (
        "bones",
        "Bones",
        ("CHEST",),
    )
    assert [(one.label, one.values, one.code.value) for one in model.outputs] == [
        ("Rib", (1,), "113197003"),
        ("Left lung", (2,), "39607008"),
    ]
    assert model.outputs[1].modifier is not None


def test_the_analysis_finds_what_the_trained_model_finds(exported: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    model = Trained.describe(exported, Answers())
    Trained.pack(exported, packed, model)
    assert (packed / "docs" / "README.md").is_file()
    analysis = Trained.analysis.of(model.model_copy(update={"files": digests(packed)}), packed)()
    runtime, volume = Runtime("cpu", terms=Terms(engine="eager")), smoke_volume("CT")
    analysis.load(runtime)
    found = analysis.analyse({"image": volume}, runtime)
    trained = TrainedModel.read(
        exported / "training.json", exported / "models" / "model.safetensors", "cpu"
    )
    expected = trained.segment(volume, runtime)
    assert expected.any()
    for number, one in enumerate(found.segments, start=1):
        assert np.array_equal(one.voxels.whole(), expected == number)


def test_weights_of_another_network_are_refused(exported: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    weights = exported / "models" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(PluginError, match="was written for"):
        Trained.pack(exported, packed, Trained.describe(exported, Answers()))


def test_a_network_for_several_modalities_takes_series_of_each(exported: Path) -> None:
    manifest = exported / "training.json"
    content = json.loads(manifest.read_text())
    assert Trained.describe(exported, Answers()).inputs["image"].modality == "CT"
    manifest.write_text(json.dumps({**content, "modality": ["CT", "MR"]}))
    assert Trained.describe(exported, Answers()).inputs["image"].modality == ("CT", "MR")
