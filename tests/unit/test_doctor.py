"""`medaet doctor`: each trouble gets a line of its own, with its fix."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from medaet.cli import application
from medaet.cli.checks.compute import check_compute
from medaet.cli.checks.database import check_database
from medaet.cli.checks.decoders import check_decoders
from medaet.cli.checks.line import Line, Verdict
from medaet.cli.checks.listener import check_listener
from medaet.cli.checks.peers import check_peers
from medaet.cli.checks.plugins import check_plugins
from medaet.cli.checks.spool import check_spool, file_system_of
from medaet.config.model import Config
from medaet.store import migrate
from medaet.store.engine import Database
from medaet.testing.pacs import StandInPacs
from medaet.worker.peaks import peaks_file


def _config(folder: Path, **sections: object) -> Config:
    spool = {"path": folder / "spool", "minimum_free_bytes": 0}
    return Config.model_validate({"spool": spool, **sections})


def _by_subject(lines: Iterator[Line]) -> dict[str, Line]:
    return {line.subject: line for line in lines}


def _doctor(folder: Path, text: str) -> tuple[int, list[dict[str, str]]]:
    path = folder / "medaet.toml"
    path.write_text(text, encoding="utf-8")
    words = ["doctor", "--json", "--config", str(path)]
    result = CliRunner().invoke(application(words), words)
    return result.exit_code, json.loads(result.stdout)


def test_doctor_exits_0_on_a_sound_installation(tmp_path: Path, free_port: int) -> None:
    code, lines = _doctor(
        tmp_path,
        f'[listener]\nhost = "127.0.0.1"\nport = {free_port}\n'
        f'[spool]\npath = "{tmp_path / "spool"}"\nminimum_free_bytes = 0\n'
        '[worker]\ndevices = "cpu"\n',
    )
    failed = [line for line in lines if line["verdict"] == "FAIL"]
    assert not failed
    assert code == 0
    assert {"torch", "database", "disk speed", "analysis chest-ct"} <= {
        line["subject"] for line in lines
    }


def test_doctor_exits_1_and_quotes_every_mistake_of_a_wrong_configuration(tmp_path: Path) -> None:
    code, lines = _doctor(tmp_path, "[listener]\nprot = 1\nprocesses = 0\n")
    assert code == 1
    assert lines[0]["subject"] == "configuration"
    assert "did you mean 'port'" in lines[0]["found"]
    assert "listener.processes" in lines[0]["found"]


def test_decoders_decode_every_sample() -> None:
    assert {line.verdict for line in check_decoders()} == {Verdict.OK}


def test_port_in_use_by_a_stranger_fails(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        listener = {"host": "127.0.0.1", "port": taken.getsockname()[1]}
        line = _by_subject(check_listener(_config(tmp_path, listener=listener)))["listener"]
    assert line.verdict is Verdict.FAIL
    assert line.fix == "stop what listens there"


def test_open_listener_is_a_warning(tmp_path: Path, free_port: int) -> None:
    listener = {"host": "127.0.0.1", "port": free_port, "accept_unknown_peers": True}
    lines = _by_subject(check_listener(_config(tmp_path, listener=listener)))
    assert lines["unknown peers"].verdict is Verdict.WARN


def test_silent_recipient_fails_and_silent_sender_warns(tmp_path: Path, free_port: int) -> None:
    address = {"host": "127.0.0.1", "port": free_port}
    with StandInPacs(tmp_path / "pacs") as pacs:
        config = _config(
            tmp_path,
            peers=[
                {"name": "ct1", "ae_title": "CT1", **address},
                {"name": "dead", "ae_title": "DEAD", **address},
                {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port},
            ],
            routes=[{"analyses": ["chest-ct"], "send_to": ["dead", "pacs"]}],
        )
        lines = _by_subject(check_peers(config))
    assert [lines[f"peer {name}"].verdict for name in ("ct1", "dead", "pacs")] == [
        Verdict.WARN,
        Verdict.FAIL,
        Verdict.OK,
    ]


def test_route_to_an_analysis_that_is_not_installed_fails(tmp_path: Path) -> None:
    lines = _by_subject(check_plugins(_config(tmp_path, routes=[{"analyses": ["knee-mr"]}])))
    assert lines["routes"].verdict is Verdict.FAIL
    assert "'knee-mr'" in lines["routes"].found


def test_database_of_another_revision_fails(tmp_path: Path) -> None:
    config = _config(tmp_path)
    migrate.upgrade(config.database_url)
    assert [line.verdict for line in check_database(config)] == [Verdict.OK]
    with closing(Database(config.database_url)) as database, database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    (line,) = check_database(config)
    assert line.verdict is Verdict.FAIL
    assert "medaet db upgrade" in line.fix


@pytest.mark.postgres
def test_postgres_clock_is_compared(tmp_path: Path, empty_postgres_url: str) -> None:
    config = _config(tmp_path, database={"url": empty_postgres_url})
    migrate.upgrade(config.database_url)
    assert [line.subject for line in check_database(config)] == ["database", "clock"]


def test_spool_that_cannot_be_made_fails(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file, not a folder")
    (line,) = check_spool(_config(tmp_path))
    assert line.verdict is Verdict.FAIL


def test_full_disk_fails(tmp_path: Path) -> None:
    config = Config.model_validate(
        {"spool": {"path": tmp_path / "spool", "minimum_free_bytes": 10**18}}
    )
    lines = _by_subject(check_spool(config))
    assert lines["disk space"].verdict is Verdict.FAIL


def test_spool_is_left_empty_by_its_check(tmp_path: Path) -> None:
    config = _config(tmp_path)
    list(check_spool(config))
    assert not [path for path in config.spool.path.rglob("*") if path.is_file()]


def test_file_system_is_that_of_the_innermost_mount() -> None:
    assert file_system_of(Path("/proc/self")) == "proc"


def test_device_that_is_not_there_fails(tmp_path: Path) -> None:
    config = _config(
        tmp_path,
        worker={"devices": ["cpu", "cuda:9"]},
        compute={"chest-ct": {"precision": "bf16"}},
    )
    peaks_file(config.cache_path, "cpu").parent.mkdir()
    peaks_file(config.cache_path, "cpu").write_text(
        '{"chest-ct auto fp32": {"23": [[1, 0]], "24": [[1900000000, 0]]}}'
    )
    lines = _by_subject(check_compute(config))
    assert lines["device cpu"].verdict is Verdict.OK
    assert lines["device cuda:9"].verdict is Verdict.FAIL
    assert lines["precision chest-ct"].verdict is Verdict.WARN
    assert lines["precision chest-ct"].fix == (
        "run `medaet models verify chest-ct --precision bf16`"
    )
    assert lines["memory chest-ct"].found == (
        "up to 1.9 GB of host memory on cpu, measured up to 17 million voxels"
    )
