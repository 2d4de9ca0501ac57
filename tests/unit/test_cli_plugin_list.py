"""`medaet plugins list`: what was certified and measured of each analysis."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medaet.cli import application
from medaet.plugin.analysis import weights_sha256
from medaet.plugin.certificate import Certificate, CertificateStore
from medaet.plugin.registry import discover
from medaet.precision import Limits


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "medaet.toml"
    path.write_text(f'[spool]\npath = "{tmp_path / "spool"}"\n')
    return path


def listed(config: Path) -> dict[str, dict[str, object]]:
    typed = ["plugins", "list", "--json", "--config", str(config)]
    done = CliRunner().invoke(application(typed), typed)
    assert done.exit_code == 0, done.output
    return {one["name"]: one for one in json.loads(done.stdout)["analyses"]}


def certificate() -> Certificate:
    analysis = discover().analyses["brain-mr"]
    weights = weights_sha256(analysis)
    return Certificate(
        "brain-mr", analysis.version, weights, weights, {}, "bf16", "eager",
        {"device": "one GPU", "torch": "2.13.0"}, Limits(), (), 2.0, 1.0, "2026-11-24T00:00:00+00:00",
    )  # fmt: skip


def test_a_certificate_is_shown_where_it_holds_for_these_weights(config: Path) -> None:
    store = CertificateStore(config.parent / "certificates")
    assert listed(config)["brain-mr"]["certificate"] == ""
    store.keep(replace(certificate(), weights_sha256="0" * 64))
    assert listed(config)["brain-mr"]["certificate"] == "of other weights"
    store.keep(certificate())
    found = listed(config)
    assert found["brain-mr"]["certificate"] == "bf16 on one GPU"
    assert found["chest-ct"]["certificate"] == ""


def test_memory_is_what_was_measured_once_it_was(config: Path) -> None:
    before = listed(config)["brain-mr"]
    assert before["memory"] == f"about {before['memory_mb']} MB"
    cache = config.parent / "cache"
    cache.mkdir()
    content = {"brain-mr auto fp32": {"20": [[900_000_000, 0]], "22": [[1_300_000_000, 7]]}}
    (cache / "peaks-cpu.json").write_text(json.dumps(content))
    assert listed(config)["brain-mr"]["memory"] == "1300 MB"


def test_the_table_has_a_column_for_each(config: Path) -> None:
    typed = ["plugins", "list", "--config", str(config)]
    done = CliRunner().invoke(application(typed), typed, env={"COLUMNS": "300"})
    head = done.stdout.splitlines()[1]
    assert all(word in head for word in ("memory", "certificate", "state", "last failure"))
