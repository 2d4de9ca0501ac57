"""D-06 to D-08 and D-11: no room, no inodes, no writing, no database: said so, and forgotten once it is over."""

import contextlib
import fcntl
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medaet.clock import SystemClock
from medaet.config.model import Listener, Peer
from medaet.network.engine import Engine
from medaet.network.spooling import SpoolSink
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.tables import Base
from tests.faults.senders import Association, Instances, send
from tests.peers import missing, system_program
from tests.stages.receiving import is_answered

pytestmark = pytest.mark.timeout(120)

REFUSED = 0xA700
Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a file system in memory, with options."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid():
        missing("mounting a file system needs root")

    def mounted(options: str) -> Path:
        done = subprocess.run(
            [system_program("mount"), "-t", "tmpfs", "-o", options, "medaet-test", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            missing(f"a file system in memory cannot be mounted: {done.stderr.strip()}")
        return folder

    try:
        yield mounted
    finally:
        subprocess.run([system_program("umount"), "-l", folder], capture_output=True, check=False)


def _remount(folder: Path, options: str) -> None:
    command = [system_program("mount"), "-o", f"remount,{options}", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def _serving(spool: Path, database: Path, minimum_free_bytes: int = 0) -> Iterator[Peer]:
    with contextlib.closing(Database(f"sqlite:///{database}")) as opened:
        Base.metadata.create_all(opened.engine)
        kept = Spool(spool, minimum_free_bytes=minimum_free_bytes)
        sink = SpoolSink(kept, opened, SystemClock())
        engine = Engine(Listener(host="127.0.0.1", port=0, accept_unknown_peers=True), [], sink)
        engine.start()
        try:
            yield Peer(name="m", ae_title="MEDAET", host="127.0.0.1", port=engine.ports[0])
        finally:
            engine.stop(5)


def _statuses(peer: Peer, instances: Instances, count: int) -> list[int]:
    return [status for _, status in send(peer, instances, count)]


def _files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_full_disk_is_said_to_be_full_until_there_is_room(mount: Mount, tmp_path: Path) -> None:
    disk, instances = mount("size=5m"), Instances(side=512)
    with _serving(disk / "spool", tmp_path / "medaet.db") as peer:
        statuses = _statuses(peer, instances, 16)
        assert set(statuses) == {0, REFUSED}
        assert statuses == sorted(statuses)
        assert _files(disk) == statuses.count(0) >= 8
        assert is_answered(peer)
        _remount(disk, "size=50m")
        assert _statuses(peer, instances, 3) == [0, 0, 0]


def test_reserve_is_kept_free_and_associations_are_rejected_a_little_before(
    mount: Mount, tmp_path: Path
) -> None:
    disk, instances = mount("size=10m"), Instances(side=512)
    with _serving(disk / "spool", tmp_path / "medaet.db", minimum_free_bytes=5_000_000) as peer:
        statuses = _statuses(peer, instances, 16)
        assert set(statuses) == {0, REFUSED}
        with contextlib.closing(Association(peer)) as late:
            assert not late.is_established
        assert not is_answered(peer)
        _remount(disk, "size=50m")
        assert _statuses(peer, instances, 3) == [0, 0, 0]


def test_disk_without_inodes_is_said_to_be_full(mount: Mount, tmp_path: Path) -> None:
    disk, instances = mount("size=50m,nr_inodes=12"), Instances()
    with _serving(disk / "spool", tmp_path / "medaet.db") as peer:
        statuses = _statuses(peer, instances, 12)
        assert set(statuses) == {0, REFUSED}
        _remount(disk, "nr_inodes=100")
        assert _statuses(peer, instances, 3) == [0, 0, 0]
        assert _files(disk) == statuses.count(0) + 3


def test_disk_that_cannot_be_written_is_noticed_and_used_again(
    mount: Mount, tmp_path: Path
) -> None:
    disk, instances = mount("size=50m"), Instances()
    with _serving(disk / "spool", tmp_path / "medaet.db") as peer:
        assert _statuses(peer, instances, 2) == [0, 0]
        _remount(disk, "ro")
        assert _statuses(peer, instances, 2) == [REFUSED, REFUSED]
        _remount(disk, "rw")
        assert _statuses(peer, instances, 2) == [0, 0]
        assert _files(disk) == 4


def test_full_database_is_answered_with_out_of_resources_until_there_is_room(
    mount: Mount, tmp_path: Path
) -> None:
    disk, instances = mount("size=1m"), Instances(side=16)
    with _serving(tmp_path / "spool", disk / "medaet.db") as peer:
        statuses = _statuses(peer, instances, 600)
        assert set(statuses) == {0, REFUSED}
        _remount(disk, "size=20m")
        assert _statuses(peer, instances, 3) == [0, 0, 0]


def test_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    instances = Instances()
    with _serving(tmp_path / "spool", tmp_path / "medaet.db") as peer:
        assert _statuses(peer, instances, 2) == [0, 0]
        for path in sorted((tmp_path / "spool" / "instances").rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        assert _statuses(peer, instances, 2) == [0, 0]


def test_no_success_is_sent_while_the_database_is_held(tmp_path: Path) -> None:
    instances = Instances()
    with _serving(tmp_path / "spool", tmp_path / "medaet.db") as peer:
        assert _statuses(peer, instances, 2) == [0, 0]
        answered: list[int] = []
        sending = threading.Thread(target=lambda: answered.extend(_statuses(peer, instances, 1)))
        with (tmp_path / "medaet.db.writer").open("ab") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            sending.start()
            sending.join(0.5)
            assert answered == []
            assert is_answered(peer)
        sending.join(30)
        assert answered == [0]


def test_database_that_is_away_for_long_costs_a_bounded_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one waits in the database, those behind it are told to come again, and hold no thread for ever."""
    monkeypatch.setattr("medaet.store.group.LONGEST_WAIT_SECONDS", 0.3)
    instances = Instances()
    with _serving(tmp_path / "spool", tmp_path / "medaet.db") as peer:
        assert _statuses(peer, instances, 2) == [0, 0]
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.extend(_statuses(peer, instances, 1)))
            for _ in range(4)
        ]
        with (tmp_path / "medaet.db.writer").open("ab") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 20
            while len(found) < 3 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert found in (
                [REFUSED] * 3,
                [REFUSED] * 4,
            )  # whoever waits itself may give up as well
        for thread in threads:
            thread.join(20)
        assert sorted(found)[1:] == [REFUSED] * 3
        assert min(found) in (0, REFUSED)
        assert _statuses(peer, instances, 1) == [0]
