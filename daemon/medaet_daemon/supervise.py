"""Start, watch and drain the daemon's processes, and tell systemd about them.

Each process holds one end of a pipe, its pulse: the first byte says that it is ready, later ones that it is alive.
systemd's watchdog is fed only while every process has a pulse that the daemon cannot do without.
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger()

DRAIN_SECONDS = 30.0
PULSE_SECONDS = 10.0
LONGEST_RESTART_WAIT_SECONDS = 30.0
COMMAND = (sys.executable, "-P", "-m", "medaet_daemon")
STEADY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Role:
    """One process to run.

    Attributes:
        name: For logs, such as "receive" or "worker cpu".
        arguments: Of the daemon's command.
        reloads: Whether it takes SIGHUP as "read the configuration again".
        vital: Whether the daemon is only well while this runs. What is not vital holds nothing up: it is ended and
            started again when it shows no pulse.
    """

    name: str
    arguments: tuple[str, ...]
    reloads: bool = False
    vital: bool = True


@dataclass(slots=True)
class Child:
    """A role's current process; times are monotonic seconds."""

    role: Role
    process: subprocess.Popen[bytes] | None = None
    pulse: int = -1
    ready: bool = False
    started_at: float = 0.0
    last_pulse_at: float = 0.0
    restarts: int = 0
    start_at: float = field(default=0.0)


class Supervisor:
    """Keeps every role running until a signal says stop.

    Args:
        roles: What to run.
        command: What runs a role, followed by the role's arguments and `--pulse-fd N`.
        pulse_seconds: How long a process may show no pulse before systemd's watchdog goes hungry.
        drain_seconds: How long processes may take to end after SIGTERM.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        *,
        command: Sequence[str] = COMMAND,
        pulse_seconds: float = PULSE_SECONDS,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._children = [Child(role) for role in roles]
        self._command = tuple(command)
        self._pulse_seconds = pulse_seconds
        self._drain_seconds = drain_seconds
        self._selector = selectors.DefaultSelector()
        self._signals = 0
        self._told_ready = False

    def run(self) -> int:
        """Run until SIGTERM or SIGINT, then drain; a second signal ends at once.

        Returns:
            The exit status: 0 after a clean stop.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_reload)
        while not self._signals:
            now = time.monotonic()
            for child in self._children:
                self._watch(child, now)
            self._listen(seconds=0.5)
            self._report()
        return self._drain()

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1

    def _on_reload(self, _number: int, _frame: object) -> None:
        """Pass SIGHUP on to the processes that can reload."""
        for child in self._children:
            if child.role.reloads and child.ready and child.process is not None:
                child.process.send_signal(signal.SIGHUP)

    def _watch(self, child: Child, now: float) -> None:
        if child.process is None:
            if now >= child.start_at:
                self._start(child, now)
            return
        status = child.process.poll()
        if status is None:
            silent = now - child.last_pulse_at > self._pulse_seconds
            if silent and child.ready and not child.role.vital:
                child.process.kill()
            return
        self._forget(child)
        steady = now - child.started_at > STEADY_SECONDS
        child.restarts = 1 if steady else child.restarts + 1
        wait = min(0.5 * 2 ** (child.restarts - 1), LONGEST_RESTART_WAIT_SECONDS)
        child.start_at = now + wait
        log.error("process.ended", role=child.role.name, exit_status=status, restart_seconds=wait)

    def _start(self, child: Child, now: float) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        child.process = subprocess.Popen(
            [*self._command, *child.role.arguments, "--pulse-fd", str(writer)],
            pass_fds=(writer,),
            stdin=subprocess.DEVNULL,
        )
        os.close(writer)
        child.pulse, child.ready = reader, False
        child.started_at = child.last_pulse_at = now
        self._selector.register(reader, selectors.EVENT_READ, child)
        log.info("process.started", role=child.role.name, pid=child.process.pid)

    def _forget(self, child: Child) -> None:
        self._selector.unregister(child.pulse)
        os.close(child.pulse)
        child.process, child.pulse, child.ready = None, -1, False

    def _listen(self, *, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            child: Child = key.data
            if os.read(child.pulse, 4096):
                child.ready, child.last_pulse_at = True, time.monotonic()
            else:  # the other end is closed: the process is about to end
                time.sleep(0.05)

    def _report(self) -> None:
        """Tell systemd what is true now (sd_notify(3))."""
        now = time.monotonic()
        vital = [child for child in self._children if child.role.vital]
        ready = [child for child in vital if child.ready]
        if len(ready) == len(vital) and not self._told_ready:
            self._told_ready = True
            log.info("daemon.ready", processes=len(ready))
            notify("READY=1")
        alive = all(now - child.last_pulse_at < self._pulse_seconds for child in ready)
        if alive and len(ready) == len(vital):
            count = sum(child.ready for child in self._children)
            notify(f"WATCHDOG=1\nSTATUS={count} of {len(self._children)} processes ready")

    def _drain(self) -> int:
        """Ask every process to finish what it holds, then end what has not."""
        notify("STOPPING=1")
        log.info("daemon.stopping", drain_seconds=self._drain_seconds)
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self._drain_seconds
        for process in running:
            while process.poll() is None and time.monotonic() < deadline and self._signals < 2:
                time.sleep(0.05)
        late = [process for process in running if process.poll() is None]
        for process in late:
            process.kill()
            process.wait()
        log.info("daemon.stopped", killed=len(late))
        return 0


def notify(state: str) -> None:
    """Send a state to the service manager; does nothing when there is none (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagram:
        try:
            datagram.sendto(state.encode(), address)
        except OSError as error:
            log.warning("notification.failed", error=error.strerror)
