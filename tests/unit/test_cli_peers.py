"""`medaet peers` and `medaet send`, with a stand-in PACS at the other end."""

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from pydicom.uid import SegmentationStorage
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from medaet.cli import peers
from medaet.config.load import load
from medaet.network.spooling import SpoolSink
from medaet.store import migrate
from medaet.store.associations import Ending, Sender
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.tables import AssociationOutcome
from medaet.testing.clock import FakeClock
from medaet.testing.pacs import StandInPacs
from medaet.testing.phantom import write_series
from medaet.testing.work import store


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[StandInPacs]:
    with StandInPacs(tmp_path / "pacs") as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, pacs: StandInPacs) -> Path:
    path = tmp_path / "medaet.toml"
    path.write_text(_peer("pacs", pacs.port))
    return path


def _peer(name: str, port: int) -> str:
    return f'[[peers]]\nname = "{name}"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {port}\n'


def _run(*arguments: str | Path) -> Result:
    command = typer.Typer()
    command.add_typer(peers.app)
    command.command()(peers.send)
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_list_shows_every_peer(config: Path, pacs: StandInPacs) -> None:
    shown = _run("peers", "list", "--config", config)
    assert shown.exit_code == 0
    assert "PACS" in shown.stdout
    assert str(pacs.port) in shown.stdout


def test_list_prints_json(config: Path, pacs: StandInPacs) -> None:
    [peer] = json.loads(_run("peers", "list", "--json", "--config", config).stdout)
    assert (peer["name"], peer["port"]) == ("pacs", pacs.port)


def test_list_says_what_to_add_when_there_is_no_peer(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    assert "[[peers]]" in _run("peers", "list", "--config", empty).stdout


def test_list_exits_2_for_a_wrong_configuration(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[listener]\nport = 0.5\n")
    shown = _run("peers", "list", "--config", wrong)
    assert shown.exit_code == 2
    assert "listener.port" in shown.stderr


def test_echo_succeeds_when_the_peer_answers(config: Path) -> None:
    shown = _run("peers", "echo", "pacs", "--config", config)
    assert shown.exit_code == 0
    assert "pacs (PACS) answered" in shown.stdout


def test_echo_exits_2_for_an_unknown_name(config: Path) -> None:
    shown = _run("peers", "echo", "nobody", "--config", config)
    assert shown.exit_code == 2
    assert "known are: pacs" in shown.stderr


def test_echo_exits_3_when_nobody_listens(tmp_path: Path, free_port: int) -> None:
    config = tmp_path / "away.toml"
    config.write_text(_peer("pacs", free_port))
    shown = _run("peers", "echo", "pacs", "--config", config)
    assert shown.exit_code == 3
    assert "cannot be reached" in shown.stderr


def test_send_takes_files_and_folders(config: Path, pacs: StandInPacs, tmp_path: Path) -> None:
    write_series(tmp_path / "folder" / "ct", shape=(2, 8, 8))
    (tmp_path / "folder" / "notes.txt").write_text("not an instance")
    [single] = write_series(tmp_path / "mr", modality="MR", shape=(1, 8, 8), seed=1)
    shown = _run("send", tmp_path / "folder", single, "--to", "pacs", "--config", config)
    assert shown.exit_code == 0
    assert "3 of 3 instances" in shown.stdout
    assert len(pacs.received) == 3


def test_send_prints_one_object_for_each_file(config: Path, tmp_path: Path) -> None:
    paths = write_series(tmp_path / "ct", shape=(2, 8, 8))
    with capture_logs():  # the stand-in PACS logs in this process
        shown = _run("send", *paths, "--to", "pacs", "--json", "--config", config)
    printed = json.loads(shown.stdout)
    assert [(one["path"], one["status"]) for one in printed] == [
        (str(path), "0000") for path in paths
    ]


def test_send_exits_1_when_a_file_is_no_instance(config: Path, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("not an instance")
    shown = _run("send", note, "--to", "pacs", "--config", config)
    assert shown.exit_code == 1
    assert "no DICOM file" in shown.stderr


def test_send_exits_1_when_there_is_nothing_to_send(config: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert _run("send", empty, "--to", "pacs", "--config", config).exit_code == 1


def test_traffic_shows_what_came_and_how_fast(config: Path, tmp_path: Path) -> None:
    with config.open("a") as file:
        file.write(f'[spool]\npath = "{tmp_path / "spool"}"\n')
    url = load(config).database_url
    migrate.upgrade(url)
    clock = FakeClock(datetime.now(UTC) - timedelta(hours=1))
    with contextlib.closing(Database(url)) as database:
        sink = SpoolSink(
            Spool(tmp_path / "spool", durable=False), database, clock, receiver="host/0"
        )
        sender = Sender("CT1", "MEDAET", "10.0.0.7")
        for path in write_series(tmp_path / "ct", shape=(4, 4, 4)):
            store(path, sink, sender)
        clock.advance(timedelta(seconds=2))
        sink.end(sender, Ending(AssociationOutcome.ABORTED, 4, 1, 8_000_000))
    [line] = json.loads(_run("peers", "traffic", "--json", "--config", config).stdout)
    assert (line["calling_ae_title"], line["stored"], line["refused"]) == ("CT1", 4, 1)
    assert (line["associations"], line["unfinished"], line["seconds"]) == (1, 1, 2.0)
    table = _run("peers", "traffic", "--config", config).stdout
    for shown in ("CT1", "10.0.0.7", "8.0", "2.0", "4.0"):
        assert shown in table
    nothing = _run("peers", "traffic", "--hours", "0.5", "--config", config).stdout
    assert "nothing came" in nothing


def test_contexts_lists_what_a_peer_takes_of_its_profile(config: Path) -> None:
    shown = _run("peers", "contexts", "pacs", "--config", config)
    assert shown.exit_code == 0
    assert "Segmentation Storage" in shown.stdout
    assert "in place of" not in shown.stdout


def test_contexts_exits_1_and_names_what_is_sent_instead(tmp_path: Path) -> None:
    config = tmp_path / "old.toml"
    with StandInPacs(tmp_path / "old", refused_sop_classes=[SegmentationStorage]) as old:
        config.write_text(_peer("pacs", old.port))
        shown = _run("peers", "contexts", "pacs", "--config", config)
        listed = json.loads(_run("peers", "contexts", "pacs", "--json", "--config", config).stdout)
    assert shown.exit_code == 1
    assert "in place of Segmentation Storage (bits): summary" in shown.stdout
    assert listed["accepted"][SegmentationStorage] == []
    assert listed["replaced"][0]["instead"] == "summary"


def test_contexts_exits_3_when_nobody_listens(tmp_path: Path, free_port: int) -> None:
    config = tmp_path / "away.toml"
    config.write_text(_peer("pacs", free_port))
    assert _run("peers", "contexts", "pacs", "--config", config).exit_code == 3
