"""The receive stage as processes that can be killed, and what is found after they were."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, text

from medaet.config.model import Config, Peer
from medaet.store import migrate
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.tables import InstanceRow
from tests.faults.senders import Sent

SCRIPT = """
import sys
from medaet import logs
from medaet.config.model import Config
from medaet_daemon.receive import main_loop
logs.set_up()
main_loop(Config.model_validate_json(sys.argv[1]), lambda: print("ready", flush=True))
"""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver and everything it forked, in a session of its own."""

    process: subprocess.Popen[str]
    peer: Peer
    log: Path

    def kill(self) -> None:
        """End all of it at once, without a word."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def resident_bytes(self) -> int:
        """Add up the resident memory of its processes, those of the tracer aside."""
        return sum(_resident(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """List the receiving processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]


def config(
    folder: Path,
    port: int,
    *,
    durability: str = "power-loss",
    processes: int = 2,
    **listener: object,
) -> Config:
    """Configure a receiver that keeps everything below a folder."""
    return Config.model_validate(
        {
            "listener": {
                "host": "127.0.0.1",
                "port": port,
                "processes": processes,
                "accept_unknown_peers": True,
                "durability": durability,
                **listener,
            },
            "database": {"url": f"sqlite:///{folder}/medaet.db"},
            "spool": {"path": folder / "spool", "minimum_free_bytes": 0},
        }
    )


@contextlib.contextmanager
def receiving(
    settings: Config, *, under: Sequence[str] = (), log: Path | None = None
) -> Iterator[Receiver]:
    """Run a receiver until the block ends; whatever is left of it is killed.

    Args:
        settings: From `config`.
        under: A program to run it under, such as strace.
        log: Where it logs to; beside the spool if not given.
    """
    migrate.upgrade(settings.database_url)
    Spool(settings.spool.path).recover()
    told = log or settings.spool.path.parent / "log"
    with told.open("a") as errors:
        process = subprocess.Popen(
            [*under, sys.executable, "-c", SCRIPT, settings.model_dump_json()],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    listener = settings.listener
    peer = Peer(name="medaet", ae_title="MEDAET", host="127.0.0.1", port=listener.port)
    running = Receiver(process, peer, told)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", told.read_text()[-2000:]
        yield running
    finally:
        running.kill()
        assert process.stdout is not None
        process.stdout.close()


@dataclass(frozen=True, slots=True)
class Found:
    """What is left after a fault, compared with what was acknowledged.

    Attributes:
        missing: Acknowledged instances without a row, or whose row's file is not there.
        wrong: Acknowledged instances whose bytes are others.
        rowless: Files under a final name that no row names.
        fileless: Rows whose file is not there, or is shorter than they say.
        parts: Files that were being written.
    """

    acknowledged: int
    missing: int
    wrong: int
    rowless: int
    fileless: int
    parts: int


def found(settings: Config, acknowledged: Sequence[Sent]) -> Found:
    """Look at database and spool as a restarted daemon does."""
    spool = Spool(settings.spool.path)
    with (
        contextlib.closing(Database(settings.database_url)) as database,
        database.read() as session,
    ):
        assert session.scalar(text("PRAGMA integrity_check")) == "ok"
        rows = list(session.scalars(select(InstanceRow)))
    paths = {row.sop_instance_uid: spool.path(row.path) for row in rows}
    files = {uid: path.read_bytes() for uid, path in paths.items() if path.exists()}
    named = set(spool.root.glob("instances/*/*"))
    return Found(
        acknowledged=len(acknowledged),
        missing=sum(one.uid not in files for one in acknowledged),
        wrong=sum(
            _digest(files[one.uid]) != one.digest for one in acknowledged if one.uid in files
        ),
        rowless=len(named - set(paths.values())),
        fileless=sum(len(files.get(row.sop_instance_uid, b"")) != row.size_bytes for row in rows),
        parts=len(list(spool.root.glob("in/*"))),
    )


def stored(settings: Config) -> set[str]:
    """Return the SOP Instance UIDs that have a row."""
    with (
        contextlib.closing(Database(settings.database_url)) as database,
        database.read() as session,
    ):
        return set(session.scalars(select(InstanceRow.sop_instance_uid)))


def _digest(content: bytes) -> str:
    """Digest the data set in a file."""
    behind = 144 + int.from_bytes(content[140:144], "little")
    return hashlib.sha256(content[behind:]).hexdigest()


def _resident(pid: int) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0
