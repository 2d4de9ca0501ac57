"""The receive stage as processes: what it promises through stops, kills and limits."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from medaet.config.model import Config, Peer
from medaet.store import migrate
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.tables import InstanceRow
from tests.stages.receiving import associated, data_set, is_answered, sample, sent, wait_for

SCRIPT = """
import sys
from pathlib import Path
from medaet import logs
from medaet.config.model import Config
from medaet.errors import ConfigError
from medaet_daemon.receive import main_loop
logs.set_up(verbose=True)
def load():
    try:
        return Config.model_validate_json(Path(sys.argv[1]).read_text())
    except ValueError as error:
        raise ConfigError(str(error)) from error
main_loop(load(), lambda: print("ready", flush=True), load)
"""


@pytest.fixture
def config(tmp_path: Path, free_port: int) -> Config:
    return Config.model_validate(
        {
            "listener": {"host": "127.0.0.1", "port": free_port, "processes": 2},
            "database": {"url": f"sqlite:///{tmp_path}/medaet.db"},
            "spool": {"path": tmp_path / "spool", "minimum_free_bytes": 0},
            "peers": [{"name": "scanner", "ae_title": "SCANNER", "host": "127.0.0.1"}],
        }
    )


@contextlib.contextmanager
def _receiver(config: Config) -> Iterator[tuple[subprocess.Popen[str], Peer]]:
    """Run the stage as a process of its own, with the processes that it forks."""
    migrate.upgrade(config.database_url)
    file = config.spool.path.parent / "config.json"
    file.write_text(config.model_dump_json())
    command = [sys.executable, "-c", SCRIPT, str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    listener = config.listener
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process, Peer(name="medaet", ae_title="MEDAET", host="127.0.0.1", port=listener.port)
    finally:
        process.kill()
        process.communicate(timeout=20)


def _stop(process: subprocess.Popen[str]) -> str:
    """Ask the stage to stop; return what it logged."""
    process.send_signal(signal.SIGTERM)
    _, logged = process.communicate(timeout=30)
    assert process.returncode == 0, logged
    return logged


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _stored(config: Config) -> list[Path]:
    """Return the files of every indexed instance."""
    spool = Spool(config.spool.path)
    with contextlib.closing(Database(config.database_url)) as database, database.read() as session:
        return [spool.path(path) for path in session.scalars(select(InstanceRow.path))]


@pytest.mark.parametrize("engine", ["own", "pynetdicom"])
@pytest.mark.parametrize("durability", ["power-loss", "crash"])
def test_what_was_answered_with_success_is_on_disk_and_indexed(
    config: Config, engine: str, durability: str
) -> None:
    chosen = {"engine": engine, "durability": durability}
    listener = config.listener.model_copy(update=chosen)
    with _receiver(config.model_copy(update={"listener": listener})) as (process, peer):
        names = ["CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm"]
        outcomes = sent(peer, *map(sample, names))
        logged = _stop(process)
    assert [outcome.status for outcome in outcomes] == [0, 0, 0x0000]
    files = _stored(config)
    assert {data_set(path.read_bytes()) for path in files} == {
        data_set(sample(name).read_bytes()) for name in names
    }
    assert list((config.spool.path / "in").iterdir()) == []
    assert logged.count("instance.stored") == 3
    assert logged.count("association.released") == 1


def test_receivers_that_die_are_replaced(config: Config) -> None:
    with _receiver(config) as (process, peer):
        before = _children(process.pid)
        assert len(before) == 2
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(set(_children(process.pid)) - set(before)) == 2)
        wait_for(lambda: is_answered(peer))
        logged = _stop(process)
    assert logged.count("receiver.ended") == 2


def test_receivers_do_not_outlive_their_parent(config: Config) -> None:
    with _receiver(config) as (process, _):
        children = _children(process.pid)
        process.kill()
        process.wait(10)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("engine", ["own", "pynetdicom"])
def test_reload_lets_in_whoever_the_new_file_names(
    config: Config, processes: int, engine: str
) -> None:
    listener = config.listener.model_copy(update={"processes": processes, "engine": engine})
    config = config.model_copy(update={"listener": listener})
    file = config.spool.path.parent / "config.json"
    with _receiver(config) as (process, peer):
        held = associated(peer)
        assert not is_answered(peer, "NEWCOMER")
        [scanner] = config.peers
        newcomer = scanner.model_copy(update={"name": "newcomer", "ae_title": "NEWCOMER"})
        changed = config.model_copy(update={"peers": (scanner, newcomer)})
        file.write_text(changed.model_dump_json())
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: all(is_answered(peer, "NEWCOMER") for _ in range(6)))
        file.write_text("{")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: is_answered(peer, "NEWCOMER"))
        assert held.is_established
        held.release()
        logged = _stop(process)
    # A process that had not looked before the second signal saw only the second file, and keeps the old rules.
    assert 1 <= logged.count("listener.reloaded") <= processes
    assert "configuration.refused" in logged


def test_limit_of_associations_holds_over_all_processes(config: Config) -> None:
    limited = config.listener.model_copy(update={"maximum_associations": 3})
    with _receiver(config.model_copy(update={"listener": limited})) as (process, peer):
        held = [associated(peer) for _ in range(8)]
        established = [association for association in held if association.is_established]
        assert len(established) == 3
        for association in established:
            association.release()
        wait_for(lambda: is_answered(peer))
        _stop(process)


def test_receiver_of_our_own_never_loads_pynetdicom() -> None:
    script = (
        "import sys, medaet_daemon.receive; "
        "print(*{name.partition('.')[0] for name in sys.modules} & {'pynetdicom', 'torch'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""
