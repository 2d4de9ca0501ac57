"""Forked processes that share listening sockets: kept running, told to reload, drained."""

import os
import signal
import time
from collections.abc import Callable

import structlog

from medaet.logs import frames
from medaet.parent import die_with_parent

log = structlog.get_logger()

STOP = frozenset({signal.SIGTERM, signal.SIGINT})
RELOAD = signal.SIGHUP
KILL_SECONDS = 3.0
RESTART_SECONDS = 1.0


class Prefork:
    """Keeps a number of processes running; signals are waited for, and must be blocked.

    Args:
        count: How many processes.
        serve: What each of them runs, given its number; it returns after SIGTERM.
        ended: Called with the number of a process that ended by itself.
        may_reload: Called for SIGHUP; whether it is to be passed on.
    """

    def __init__(
        self,
        count: int,
        serve: Callable[[int], None],
        *,
        ended: Callable[[int], None],
        may_reload: Callable[[], bool],
    ) -> None:
        self._count = count
        self._serve = serve
        self._ended = ended
        self._may_reload = may_reload
        self._running: dict[int, int] = {}

    def run(self, ready: Callable[[], None] | None, drain_seconds: float) -> None:
        """Keep all of them running, until a signal says stop; then let them finish what they hold."""
        for number in range(self._count):
            self._start(number)
        if ready is not None:
            ready()
        while (number := signal.sigwait(STOP | {signal.SIGCHLD, RELOAD})) not in STOP:
            if number == RELOAD:
                self._reload()
                continue
            ended = self._reap()
            if ended and signal.sigtimedwait(STOP, RESTART_SECONDS):
                break
            for one in ended:
                self._start(one)
        self._stop(drain_seconds)

    def _start(self, number: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._running[pid] = number
            return
        status = 1
        try:
            die_with_parent(number=signal.SIGTERM)
            if os.getppid() == parent:
                self._serve(number)
                status = 0
        except Exception as error:  # noqa: BLE001 -- a forked process must not run on in its parent's code
            log.error("receiver.failed", **frames(error))
        finally:
            os._exit(status)

    def _reload(self) -> None:
        if self._may_reload():
            for pid in self._running:
                os.kill(pid, RELOAD)

    def _reap(self) -> list[int]:
        """Collect processes that have ended; return their numbers."""
        ended = []
        for pid, number in list(self._running.items()):
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                del self._running[pid]
                self._ended(number)
                ended.append(number)
                log.error(
                    "receiver.ended",
                    pid=pid,
                    exit_status=os.waitstatus_to_exitcode(status),
                    restart_seconds=RESTART_SECONDS,
                )
        return ended

    def _stop(self, drain_seconds: float) -> None:
        """Ask every process to finish what it holds, then end those that have not."""
        for pid in self._running:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + drain_seconds + KILL_SECONDS
        while self._running and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
            for pid in list(self._running):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._running[pid]
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
