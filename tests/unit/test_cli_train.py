"""`medaet train` and `medaet trainings` as a person uses them."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from medaet.cli import application
from medaet.compute.runtime import Runtime
from medaet.compute.trained.model import TrainedModel
from medaet.errors import PluginError
from medaet.plugin.folder import load_volume
from medaet.precision import Terms
from medaet.store import migrate
from tests.labelled import toml, write_pairs


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(application(arguments), arguments)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "medaet.toml"
    path.write_text(
        f'[spool]\npath = "{tmp_path / "spool"}"\n[training]\npath = "{tmp_path / "t"}"\n'
    )
    migrate.upgrade(f"sqlite:///{tmp_path / 'medaet.db'}")
    return path


def _config(tmp_path: Path) -> Path:
    path = write_pairs(tmp_path, 3) / "train.toml"
    path.write_text(toml(epochs=1, steps=3))
    return path


def test_enqueue_puts_a_run_into_the_queue_with_absolute_paths(
    tmp_path: Path, settings: Path
) -> None:
    done = _run("train", str(_config(tmp_path)), "--enqueue", "--config", str(settings))
    assert (done.exit_code, "training run 1" in done.stdout) == (0, True)
    shown = json.loads(_run("trainings", "show", "1", "--json", "--config", str(settings)).stdout)
    assert shown["configuration"]["data"][0]["path"] == str(tmp_path)
    assert shown["folder"] == str(tmp_path / "t" / "balls-1.0.0")
    listed = _run("trainings", "list", "--config", str(settings)).stdout
    assert "balls" in listed
    assert "ready" in listed


def test_trainings_are_buried_and_retried_by_number(tmp_path: Path, settings: Path) -> None:
    _run("train", str(_config(tmp_path)), "--enqueue", "--config", str(settings))
    assert _run("trainings", "bury", "1", "--config", str(settings)).exit_code == 0
    assert _run("trainings", "bury", "1", "--config", str(settings)).exit_code == 1
    assert _run("trainings", "retry", "1", "--config", str(settings)).exit_code == 0
    assert _run("trainings", "show", "2", "--config", str(settings)).exit_code == 1


def test_every_mistake_of_a_training_configuration_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text('name = "Bad Name"\nepochs = 3\n[[data]]\nkind = "tapes"\npath = "."\n')
    done = _run("train", str(path))
    assert done.exit_code == 2
    for part in ("name", "epochs", "data.0.kind"):
        assert f"train.toml: {part}: " in done.stderr


@pytest.mark.slow
def test_train_leaves_a_report_and_a_model_folder(tmp_path: Path) -> None:
    done = _run("train", str(_config(tmp_path)), "--json")
    assert done.exit_code == 0, done.stderr
    shown = json.loads(done.stdout)
    model = Path(shown["model"])
    assert 0 <= shown["results"][0]["scores"]["Label 1"]["dice"] <= 1
    for name in ("model.safetensors", "model.pt", "model.ts", "model.pt2", "model.onnx"):
        assert (model / "models" / name).stat().st_size > 0
    trained = TrainedModel.read(
        model / "training.json", model / "models" / "model.safetensors", "cpu"
    )
    reference = model / "reference" / "case-1"
    again = trained.segment(load_volume(reference), Runtime("cpu", terms=Terms(engine="eager")))
    assert np.array_equal(again, np.load(reference / "labels.npy"))
    assert "Not for diagnostic use" in (model / "docs" / "README.md").read_text()
    assert "Measured on 1 patient(s)" in Path(shown["report"]).read_text()
    run = Path(shown["report"]).parents[1]
    assert list((run / "tensorboard").glob("events.*"))
    assert json.loads((run / "status.json").read_text())["phase"] == "done"


def test_a_model_whose_weights_were_changed_is_refused(tmp_path: Path) -> None:
    manifest, weights = tmp_path / "training.json", tmp_path / "model.safetensors"
    manifest.write_text('{"plan": {"strides": []}, "weights_sha256": "ab"}')
    weights.write_bytes(b"other")
    with pytest.raises(PluginError, match=r"import (it|the model) again"):
        TrainedModel.read(manifest, weights, "cpu")


@pytest.mark.slow
def test_train_on_data_that_cannot_be_used_says_why_and_exits_with_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.toml"
    path.write_text('name = "x"\n[[data]]\nkind = "pairs"\npath = "nowhere"\n')
    assert _run("train", str(path)).exit_code == 2
    assert "nowhere does not exist" in capfd.readouterr().err
