"""A hospital on loopback: a scanner, the daemon and a PACS as real processes, with their configuration."""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medaet.config.load import load
from medaet.config.model import Config

STOP_SECONDS = 40.0
ANALYSES = ("chest-ct", "brain-mr", "ct-mr-fusion")

CONFIGURATION = """\
# Written by `medaet demo`: a whole hospital on loopback.
[listener]
ae_title = "MEDAET"
host = "127.0.0.1"
port = {listener_port}
processes = 1

[spool]
path = "{spool}"
minimum_free_bytes = 200_000_000

[series]
quiet_period_seconds = 2

[worker]
devices = "auto"

[[peers]]
name = "scanner"
ae_title = "SCANNER"
host = "127.0.0.1"
port = {scanner_port}

[[peers]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs_port}

[[routes]]
analyses = [{analyses}]
send_to = ["pacs"]
"""


@dataclass(slots=True)
class Site:
    """The processes of the demonstration, and where they keep things.

    Attributes:
        root: Everything lies below it.
        config: What the daemon runs with.
        python: The interpreter of all processes.
    """

    root: Path
    config: Config
    python: str = sys.executable
    daemon: subprocess.Popen[bytes] | None = None
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def config_file(self) -> Path:
        """The daemon's configuration."""
        return self.root / "medaet.toml"

    @property
    def archive(self) -> Path:
        """Folder of the stand-in PACS."""
        return self.root / "pacs"

    @property
    def log(self) -> Path:
        """What the processes logged."""
        return self.root / "medaetd.log"

    def start_pacs(self) -> None:
        """Start the stand-in PACS."""
        peer = self.config.peer("pacs")
        assert peer is not None
        self._start("medaet.testing.pacs", "--port", str(peer.port), "--folder", str(self.archive))

    def start_daemon(self) -> None:
        """Start the daemon, also after it was killed."""
        self.daemon = self._start("medaet_daemon", "--config", str(self.config_file))

    def scan(self, folder: Path, *, pause_seconds: float = 0.0) -> subprocess.Popen[bytes]:
        """Start sending a folder as the scanner does, with a pause between two instances."""
        port, pause = str(self.config.listener.port), str(pause_seconds)
        return self._start("medaet.testing.scanner", str(folder), "--port", port, "--pause", pause)

    def stop(self) -> None:
        """End every process that was started here."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self._processes):
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [self.python, "-P", "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process


@contextlib.contextmanager
def site(
    root: Path, analyses: Sequence[str] = ANALYSES, *, python: str = sys.executable
) -> Iterator[Site]:
    """Lay out a new site below `root`, and end its processes when the block ends.

    Args:
        root: Removed first if it is there from an earlier demonstration.
        analyses: Names of those that run on all that is sent.
        python: The interpreter of all processes, in whose environment the analyses are installed.
    """
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    listener, scanner, pacs = free_ports(3)
    (root / "medaet.toml").write_text(
        CONFIGURATION.format(
            listener_port=listener,
            scanner_port=scanner,
            pacs_port=pacs,
            spool=(root / "spool").absolute(),
            analyses=", ".join(f'"{name}"' for name in analyses),
        ),
        encoding="utf-8",
    )
    one = Site(root, load(root / "medaet.toml", {}), python)
    try:
        yield one
    finally:
        one.stop()


def free_ports(count: int) -> Sequence[int]:
    """Find loopback ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
