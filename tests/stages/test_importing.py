"""`medaet models import` as an administrator types it: a library's own export becomes an analysis that runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from medaet.cli import application
from medaet.demo.scans import write_scan

EXPORT = Path(__file__).parents[1] / "data" / "thorax-nnunet.zip"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "medaet.toml"
    path.write_text(f'[spool]\npath = "{tmp_path / "spool"}"\n')
    return path


def _medaet(*words: str | Path) -> Result:
    typed = [str(word) for word in words]
    return CliRunner().invoke(application(typed), typed)


def test_an_export_of_nnunet_becomes_an_analysis(config: Path, tmp_path: Path) -> None:
    done = _medaet("models", "import", EXPORT, "--body-part", "CHEST", "--config", config)
    assert done.exit_code == 0, done.output
    assert "39607008" in done.output
    listed = _medaet("models", "list", "--config", config, "--json")
    assert [(one["model"], one["state"]) for one in json.loads(listed.stdout)] == [
        ("thorax", "well")
    ]

    scan = write_scan("chest-ct", tmp_path / "scan")[20:36]
    out = tmp_path / "out"
    ran = _medaet(
        "run", "thorax", *scan, "--out", out, "--config", config, "--setting", "mirror=false"
    )
    assert ran.exit_code == 0, ran.output
    findings = json.loads((out / "findings.json").read_text())
    assert {one["label"]: one["volume_ml"] > 100 for one in findings["segments"]} == {
        "lung": True,
        "bone": True,
    }
    assert [one["kind"] for one in findings["objects"]] == ["SEG", "SR"]

    weights = tmp_path / "models" / "thorax" / "fold_0.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    refused = _medaet("run", "thorax", *scan, "--out", out, "--config", config)
    assert refused.exit_code == 1
    assert "is not the one that was imported" in refused.output

    assert _medaet("models", "remove", "thorax", "--config", config).exit_code == 0
    assert _medaet("run", "thorax", *scan, "--out", out, "--config", config).exit_code == 2


def test_a_folder_of_no_kind_is_refused_with_the_kinds_there_are(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / "nothing").mkdir()
    done = _medaet("models", "import", tmp_path / "nothing", "--config", config)
    assert done.exit_code == 1
    assert "nnU-Net v2" in done.output
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())
