"""`medaet run` on phantoms, with an analysis that is not installed."""

import csv
import json
from pathlib import Path

import pydicom
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from medaet.cli import application
from medaet.testing.phantom import write_series

ZOO = ("--module", "medaet.testing.plugin_zoo")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "medaet.toml"
    path.write_text("")
    return path


def _run(*arguments: str | Path) -> Result:
    words = ["run", *(str(argument) for argument in arguments)]
    with capture_logs():  # only `main` sends them to standard error
        return CliRunner().invoke(application(words), words)


def test_run_writes_proven_objects_a_preview_and_findings(tmp_path: Path, config: Path) -> None:
    write_series(tmp_path / "ct", modality="CT", shape=(4, 8, 8))
    out = tmp_path / "out"
    shown = _run("zoo-tame", tmp_path / "ct", "--out", out, *ZOO, "--config", config)
    assert shown.exit_code == 0, shown.stderr
    report = json.loads((out / "findings.json").read_text())
    assert [one["kind"] for one in report["objects"]] == ["SEG", "SR"]
    assert [one["label"] for one in report["segments"]] == ["Above"]
    assert (out / "ct.png").is_file()
    for one in report["objects"]:
        assert pydicom.dcmread(out / one["file"]).SOPInstanceUID == one["sop_instance_uid"]


def test_run_writes_features_with_codes_units_settings_and_reasons(
    tmp_path: Path, config: Path
) -> None:
    write_series(tmp_path / "ct", modality="CT", shape=(4, 8, 8))
    out, table = tmp_path / "out", tmp_path / "tables" / "features.csv"
    shown = _run(
        *("zoo-features", tmp_path / "ct", "--out", out, "--features-csv", table),
        *(*ZOO, "--config", config),
    )
    assert shown.exit_code == 0, shown.stderr
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 18 + 25 + 18
    mean, entropy = (
        next(row for row in rows if row["tag"] == tag) for tag in ("stat_mean", "cm_joint_entr")
    )
    assert (mean["code"], mean["scheme"], mean["unit"]) == ("Q4LE", "IBSI", "[hnsf'U]")
    assert float(mean["value"]) > 0
    assert entropy["aggregation"] == "3D, directions merged"
    assert "discretisation: bins of width 100" in entropy["settings"]
    absent = [row for row in rows if row["absent_because"]]
    assert {(row["segment"], row["value"]) for row in absent} == {("'=Nothing", "")}


def test_run_makes_the_same_instances_again(tmp_path: Path, config: Path) -> None:
    write_series(tmp_path / "ct", modality="CT", shape=(2, 8, 8))
    uids = []
    for name in ("first", "second"):
        shown = _run(
            "zoo-tame",
            tmp_path / "ct",
            "--out",
            tmp_path / name,
            "--json",
            *ZOO,
            "--config",
            config,
        )
        uids.append([one["sop_instance_uid"] for one in json.loads(shown.stdout)["objects"]])
    assert uids[0] == uids[1]


def test_run_exits_1_and_says_every_failed_check(tmp_path: Path, config: Path) -> None:
    write_series(tmp_path / "mr", modality="MR", shape=(2, 8, 8))
    out = tmp_path / "out"
    shown = _run("brain-mr", tmp_path / "mr", "--out", out, "--config", config)
    assert shown.exit_code == 1
    assert "BodyPartExamined is 'CHEST', wanted BRAIN or HEAD or SKULL" in shown.stderr
    assert "slices is '2', wanted at least 15" in shown.stderr
    assert not out.exists()


def test_run_exits_1_when_there_is_no_instance(tmp_path: Path, config: Path) -> None:
    (tmp_path / "note.txt").write_text("not an instance")
    shown = _run("brain-mr", tmp_path, "--out", tmp_path / "out", "--config", config)
    assert shown.exit_code == 1
    assert "no DICOM instance" in shown.stderr


def test_run_exits_2_for_an_unknown_analysis(tmp_path: Path, config: Path) -> None:
    shown = _run("no-such", tmp_path, "--out", tmp_path / "out", "--config", config)
    assert shown.exit_code == 2


def test_run_exits_2_for_a_setting_the_analysis_does_not_take(tmp_path: Path, config: Path) -> None:
    out = tmp_path / "out"
    shown = _run("zoo-tame", tmp_path, "--out", out, "--setting", "a=1", *ZOO, "--config", config)
    assert shown.exit_code == 2
    assert "plugins.zoo-tame.a" in shown.stderr


def test_run_exits_1_when_the_analysis_raises_without_its_message(
    tmp_path: Path, config: Path
) -> None:
    write_series(tmp_path / "ct", modality="CT", shape=(2, 8, 8))
    out = tmp_path / "out"
    shown = _run("zoo-raises", tmp_path / "ct", "--out", out, *ZOO, "--config", config)
    assert shown.exit_code == 1
    assert "Doe" not in shown.stderr + shown.stdout
