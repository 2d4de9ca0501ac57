"""The stand-in PACS and the simulated scanner, as the processes that the demonstration starts."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from medaet.config.model import Peer
from medaet.errors import PeerUnavailableError
from medaet.network.scu import echo
from medaet.testing.pacs import StandInPacs
from medaet.testing.phantom import write_series
from medaet.testing.scanner import scan


@contextlib.contextmanager
def _pacs(folder: Path, port: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "medaet.testing.pacs", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--folder", str(folder), *arguments], stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_it_answers(port)
        yield process
    finally:
        process.kill()
        process.wait(10)


def _wait_until_it_answers(port: int) -> None:
    waiting, deadline = threading.Event(), time.monotonic() + 20
    while True:
        try:
            return echo(Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=port), "TEST")
        except PeerUnavailableError:
            assert time.monotonic() < deadline, "the stand-in PACS did not start"
            waiting.wait(0.1)


def _scanner(folder: Path, port: int, called: str = "PACS") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "medaet.testing.scanner", str(folder), "--port", str(port)]
    return subprocess.run(
        [*command, "--called", called], capture_output=True, text=True, check=False, timeout=60
    )


def test_scanner_sends_a_folder_and_the_pacs_keeps_it(tmp_path: Path, free_port: int) -> None:
    sent = write_series(tmp_path / "ct", shape=(3, 8, 8))
    with _pacs(tmp_path / "pacs", free_port) as pacs:
        done = _scanner(tmp_path / "ct", free_port)
        pacs.send_signal(signal.SIGTERM)
        assert pacs.wait(10) == 0
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "pacs").glob("*.dcm"))) == len(sent)


def test_scanner_exits_1_when_the_pacs_answers_as_it_was_told(
    tmp_path: Path, free_port: int
) -> None:
    write_series(tmp_path / "ct", shape=(2, 8, 8))
    with _pacs(tmp_path / "pacs", free_port, "--status", "A700"):
        done = _scanner(tmp_path / "ct", free_port)
    assert done.returncode == 1
    assert "A700" in done.stderr
    assert len(list((tmp_path / "pacs").glob("*.dcm"))) == 1


def test_scanner_exits_3_when_nobody_listens(tmp_path: Path, free_port: int) -> None:
    write_series(tmp_path / "ct", shape=(1, 8, 8))
    assert _scanner(tmp_path / "ct", free_port).returncode == 3


def test_scan_pauses_between_instances_only(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", shape=(3, 8, 8))
    pauses: list[float] = []
    with StandInPacs(tmp_path / "pacs") as pacs:
        peer = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=pacs.port)
        outcomes = scan(tmp_path / "ct", peer, "CT1", pause_seconds=0.5, sleep=pauses.append)
        assert [outcome.status for outcome in outcomes] == [0, 0, 0]
    assert pauses == [0.5, 0.5]
