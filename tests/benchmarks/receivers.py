"""The receivers that are compared, each as a process of its own on a loopback port with an empty folder."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from medaet.network.pdu import HEADER
from medaet.store import migrate
from tests.faults.receiver import SCRIPT, config, stored
from tests.faults.senders import CT, EXPLICIT, RELEASE, request
from tests.peers import system_program

NODELAY = {"TCP_NODELAY": "1"}
"""What dcmtk's programs take as "without Nagle's algorithm"."""

LARGEST_PDU = "131072"
START_SECONDS, STOP_SECONDS = 30, 10
TICKS = os.sysconf("SC_CLK_TCK")

Start = tuple[Sequence[str], Callable[[], int]]
"""A command line, and what counts the instances that it has stored."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """One of those compared.

    Attributes:
        prepare: Given the folder and the port, says how to start it.
        is_raw: Whether it takes bytes with a length, and no DICOM.
    """

    prepare: Callable[[Path, int], Start]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_raw: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A receiver that takes associations.

    Attributes:
        count: Counts what it has stored, once it has ended.
    """

    port: int
    process: subprocess.Popen[bytes]
    count: Callable[[], int]
    is_raw: bool

    def cpu_seconds(self) -> tuple[float, float]:
        """Return user and system time of all its processes, ended ones included."""
        user = system = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                values = path.read_text().rpartition(")")[2].split()
                if int(values[3]) == self.process.pid:
                    user += int(values[11]) + int(values[13])
                    system += int(values[12]) + int(values[14])
        return user / TICKS, system / TICKS

    def pdu_bytes(self) -> int:
        """Ask which PDUs it takes; at most those that the best of its peers take."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as peer:
            peer.sendall(request("MEDAET", [(CT, EXPLICIT)]))
            _, length = HEADER.unpack(peer.recv(HEADER.size, socket.MSG_WAITALL))
            body = peer.recv(length, socket.MSG_WAITALL)
            peer.sendall(RELEASE)
            peer.recv(10, socket.MSG_WAITALL)
        at = body.index(b"\x51\0\0\4") + 4
        return min(int.from_bytes(body[at : at + 4], "big") or 1 << 20, int(LARGEST_PDU))


@contextlib.contextmanager
def running(receiver: Receiver, folder: Path) -> Iterator[Running]:
    """Run one until the block ends."""
    port = _free_port()
    folder.mkdir()
    command, count = receiver.prepare(folder, port)
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, **receiver.environment},
            start_new_session=True,
        )
    try:
        _await(port, process)
        yield Running(port, process, count, receiver.is_raw)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(START_SECONDS * 10):
        assert process.poll() is None, "the receiver ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError("the receiver does not listen")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def _limit(sync: str, folder: Path, port: int) -> Start:
    program = folder.parent / "limit"
    return [str(program), str(port), str(folder), sync], partial(_files, folder)


def _medaet(durability: str, folder: Path, port: int) -> Start:
    settings = config(
        folder,
        port,
        durability=durability,
        maximum_associations=200,
        maximum_associations_per_address=200,
    )
    migrate.upgrade(settings.database_url)
    command = [sys.executable, "-c", SCRIPT, settings.model_dump_json()]
    return command, lambda: len(stored(settings))


def _storescp(options: Sequence[str], folder: Path, port: int) -> Start:
    program = system_program("storescp")
    command = [program, *options, "-aet", "MEDAET", "-od", str(folder), str(port)]
    return command, partial(_files, folder)


def _orthanc(folder: Path, port: int) -> Start:
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "DicomPort": port,
        "DicomAet": "MEDAET",
        "HttpServerEnabled": False,
        "DicomAlwaysAllowStore": True,
        "Plugins": [],
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))

    def count() -> int:
        with contextlib.closing(sqlite3.connect(folder / "index" / "index")) as index:
            query = "select count(*) from Resources where resourceType = 4"
            return int(index.execute(query).fetchone()[0])

    return [system_program("Orthanc"), str(path)], count


def _pynetdicom(folder: Path, port: int) -> Start:
    module = [sys.executable, "-m", "pynetdicom", "storescp", str(port)]
    options = ["-q", "-aet", "MEDAET", "-ba", "127.0.0.1", "-od", str(folder)]
    return [*module, *options], partial(_files, folder)


BEST = ("+B", "--max-pdu", LARGEST_PDU)

RECEIVERS: Mapping[str, Receiver] = {
    "limit-file": Receiver(partial(_limit, "file"), is_raw=True),
    "limit-fdatasync": Receiver(partial(_limit, "fdatasync"), is_raw=True),
    "medaet crash": Receiver(partial(_medaet, "crash")),
    "medaet power-loss": Receiver(partial(_medaet, "power-loss")),
    "storescp": Receiver(partial(_storescp, ())),
    "storescp --fork": Receiver(partial(_storescp, ("--fork",))),
    "storescp, 128 kB, no Nagle": Receiver(partial(_storescp, BEST), NODELAY),
    "storescp --fork, 128 kB, no Nagle": Receiver(partial(_storescp, ("--fork", *BEST)), NODELAY),
    "Orthanc": Receiver(_orthanc),
    "Orthanc, no Nagle": Receiver(_orthanc, NODELAY),
    "pynetdicom storescp": Receiver(_pynetdicom),
}
"""As shipped, unless the name says more."""
