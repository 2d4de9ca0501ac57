"""The supervisor against systemd's protocol, with processes that start late, die, or ignore SIGTERM."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROLE = """
import os, signal, sys, time
pulse = int(sys.argv[sys.argv.index("--pulse-fd") + 1])
folder, mood = sys.argv[1], sys.argv[2]
if mood == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
signal.signal(signal.SIGHUP, lambda *_: open(os.path.join(folder, "reloaded"), "w").close())
supervisor = os.getppid()
while not os.path.exists(os.path.join(folder, "go")) and os.getppid() == supervisor:
    time.sleep(0.02)
with open(os.path.join(folder, "starts"), "a") as starts:
    starts.write(f"{os.getpid()}\\n")
while True:
    os.write(pulse, b".")  # which fails, and ends this process, once the supervisor is gone
    time.sleep(0.1)
"""

SUPERVISOR = """
import sys
from medaet_daemon.supervise import Role, Supervisor
script, *arguments = sys.argv[1:]
command = (sys.executable, script)
role = Role("role", tuple(arguments), reloads=arguments[1] == "well")
roles = [role]
if arguments[1] == "spared":
    roles.append(Role("spare", (arguments[0] + "/spare", "well"), vital=False))
sys.exit(Supervisor(roles, command=command, pulse_seconds=1, drain_seconds=1).run())
"""


class Systemd:
    """The service manager's end of the notification socket (sd_notify(3))."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.1)

    def heard(self, word: str, seconds: float = 20) -> bool:
        """Whether a message with this word comes within a time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if word in self._socket.recv(4096).decode():
                    return True
            except TimeoutError:
                continue
        return False

    def forget(self) -> None:
        """Drop what has been sent so far."""
        self._socket.setblocking(False)
        while True:
            try:
                self._socket.recv(4096)
            except BlockingIOError:
                break
        self._socket.settimeout(0.1)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def _supervised(folder: Path, mood: str) -> Iterator[tuple[subprocess.Popen[bytes], Systemd]]:
    """Run a supervisor whose one role is a script."""
    systemd = Systemd(folder / "notify")
    script = folder / "role.py"
    script.write_text(ROLE)
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(script), str(folder), mood],
        env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process, systemd
    finally:
        process.kill()
        process.wait()
        systemd.close()


def _starts(folder: Path) -> list[int]:
    path = folder / "starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def _await(true: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_ready_is_said_only_once_the_process_has_a_pulse(tmp_path: Path) -> None:
    with _supervised(tmp_path, "well") as (_, systemd):
        assert not systemd.heard("READY=1", 1)
        (tmp_path / "go").touch()
        assert systemd.heard("READY=1")
        assert systemd.heard("WATCHDOG=1")


def test_watchdog_is_not_fed_while_a_process_has_no_pulse(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with _supervised(tmp_path, "well") as (_, systemd):
        assert systemd.heard("WATCHDOG=1")
        os.kill(_starts(tmp_path)[0], signal.SIGSTOP)
        time.sleep(1.2)  # longer than the pulse may stop
        systemd.forget()
        assert not systemd.heard("WATCHDOG=1", 1)
        os.kill(_starts(tmp_path)[0], signal.SIGCONT)
        assert systemd.heard("WATCHDOG=1")


def test_process_that_dies_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with _supervised(tmp_path, "well"):
        _await(lambda: _starts(tmp_path))
        os.kill(_starts(tmp_path)[0], signal.SIGKILL)
        _await(lambda: len(_starts(tmp_path)) == 2)


@pytest.mark.parametrize("mood", ["well", "deaf"])
def test_sigterm_drains_and_exits_0_within_its_time(tmp_path: Path, mood: str) -> None:
    (tmp_path / "go").touch()
    with _supervised(tmp_path, mood) as (process, systemd):
        assert systemd.heard("READY=1")
        process.send_signal(signal.SIGTERM)
        assert systemd.heard("STOPPING=1")
        assert process.wait(20) == 0
        (pid,) = _starts(tmp_path)
        _await(lambda: _ended(pid))


def test_reload_reaches_a_process_that_can(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with _supervised(tmp_path, "well") as (process, systemd):
        assert systemd.heard("READY=1")
        process.send_signal(signal.SIGHUP)
        _await((tmp_path / "reloaded").exists)
        assert process.poll() is None


def test_reload_spares_a_process_that_cannot(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with _supervised(tmp_path, "deaf") as (process, systemd):
        assert systemd.heard("READY=1")
        process.send_signal(signal.SIGHUP)
        systemd.forget()
        assert systemd.heard("WATCHDOG=1")
        assert not (tmp_path / "reloaded").exists()


def test_what_is_not_vital_holds_nothing_up_and_is_replaced_when_it_hangs(tmp_path: Path) -> None:
    spare = tmp_path / "spare"
    spare.mkdir()
    (tmp_path / "go").touch()
    with _supervised(tmp_path, "spared") as (_, systemd):
        assert systemd.heard("READY=1")
        assert systemd.heard("STATUS=1 of 2 processes ready")
        (spare / "go").touch()
        assert systemd.heard("STATUS=2 of 2 processes ready")
        (first,) = _starts(spare)
        os.kill(first, signal.SIGSTOP)
        _await(lambda: systemd.heard("WATCHDOG=1") and len(_starts(spare)) == 2)
        assert len(_starts(tmp_path)) == 1
