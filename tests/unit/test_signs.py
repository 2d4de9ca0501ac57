"""A child that computes is alive, whether or not it can say so."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from medaet.errors import ChildTimeoutError
from medaet.worker.signs import await_sign, processor_seconds

SECONDS = 0.4
BUSY = "while True: pass"
IDLE = "import time; time.sleep(60)"


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", request.param]) as running:
        yield running.pid
        running.kill()


@pytest.mark.parametrize("process", [BUSY], indirect=True)
def test_busy_run_is_waited_for_beyond_its_silence(
    channel: tuple[socket.socket, socket.socket], process: int
) -> None:
    ours, theirs = channel
    later = threading.Timer(3 * SECONDS, theirs.sendall, [b"at last"])
    later.start()
    await_sign(ours, process, SECONDS, working=True)
    assert ours.recv(7) == b"at last"
    later.join()


@pytest.mark.parametrize(
    ("process", "working"), [(IDLE, True), (BUSY, False)], indirect=["process"]
)
def test_child_that_waits_or_was_asked_nothing_is_silent(
    channel: tuple[socket.socket, socket.socket], process: int, *, working: bool
) -> None:
    with pytest.raises(ChildTimeoutError, match="stopped answering"):
        await_sign(channel[0], process, SECONDS, working=working)


@pytest.mark.parametrize("process", [IDLE], indirect=True)
def test_end_of_the_channel_ends_the_waiting(
    channel: tuple[socket.socket, socket.socket], process: int
) -> None:
    channel[1].close()
    await_sign(channel[0], process, 60, working=True)


def test_process_that_is_gone_takes_no_time() -> None:
    assert processor_seconds(2**22 + 1) == 0
