"""Receive instances: processes on one listening socket, and Success only for what is on disk and indexed."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable
from socket import socket
from typing import TYPE_CHECKING

import structlog

from medaet.clock import SystemClock
from medaet.config.model import Config
from medaet.network.admission import Places
from medaet.network.engine import Engine
from medaet.network.listening import listening_socket
from medaet.network.spooling import SpoolSink
from medaet.store.engine import Database
from medaet.store.files import Spool

if TYPE_CHECKING:
    from medaet.network.fallback import FallbackEngine

log = structlog.get_logger()

STOP = frozenset({signal.SIGTERM, signal.SIGINT})
DRAIN_SECONDS = 25.0
"""How long running C-STOREs may take to finish; a little less than what the supervisor grants."""

KILL_SECONDS = 3.0
RESTART_SECONDS = 1.0
PR_SET_PDEATHSIG = 1


def main_loop(config: Config, ready: Callable[[], None] | None = None) -> None:
    """Receive until SIGTERM or SIGINT, then let running C-STOREs finish.

    Args:
        config: The whole configuration.
        ready: Called once, when the port is bound.

    Raises:
        ConfigError: the port cannot be bound.
    """
    # Waited for, never handled: no code of ours runs at a moment that it did not choose.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP | {signal.SIGCHLD})
    processes = config.listener.processes
    places = Places(config.listener.maximum_associations, processes=processes)
    with listening_socket(config.listener.host, config.listener.port) as listening:
        log.info(
            "listener.started",
            ae_titles=config.listener.called_ae_titles,
            host=config.listener.host,
            port=listening.getsockname()[1],
            processes=processes,
        )
        if processes == 1:
            _serve(config, listening, places, ready)
        else:
            _Processes(config, listening, places).run(ready)
    log.info("listener.stopped")


def _serve(
    config: Config, listening: socket, places: Places, ready: Callable[[], None] | None
) -> None:
    """Receive in this process until a signal says stop."""
    listener = config.listener
    durable = listener.durability == "power-loss"
    spool = Spool(
        config.spool.path, minimum_free_bytes=config.spool.minimum_free_bytes, durable=durable
    )
    with contextlib.closing(Database(config.database_url, durable=durable)) as database:
        sink = SpoolSink(spool, database, SystemClock(), conflict=listener.conflict)
        scp = _engine(listener.engine)(
            listener, config.peers, sink, listening=listening, places=places
        )
        scp.start()
        if ready is not None:
            ready()
        signal.sigwait(STOP)
        scp.stop(DRAIN_SECONDS)


def _engine(name: str) -> "type[Engine] | type[FallbackEngine]":
    """Choose the SCP; pynetdicom is imported only where it is asked for."""
    if name == "own":
        return Engine
    from medaet.network.fallback import FallbackEngine

    return FallbackEngine


class _Processes:
    """Forked receivers that share one listening socket, and one limit of associations."""

    def __init__(self, config: Config, listening: socket, places: Places) -> None:
        self._config = config
        self._listening = listening
        self._places = places
        self._running: dict[int, int] = {}

    def run(self, ready: Callable[[], None] | None) -> None:
        """Keep as many running as configured, until a signal says stop."""
        for number in range(self._config.listener.processes):
            self._start(number)
        if ready is not None:
            ready()
        while signal.sigwait(STOP | {signal.SIGCHLD}) == signal.SIGCHLD:
            ended = self._reap()
            if ended and signal.sigtimedwait(STOP, RESTART_SECONDS):
                break
            for number in ended:
                self._start(number)
        self._stop()

    def _start(self, number: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._running[pid] = number
            return
        status = 1
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() == parent:
                self._places.sit(number)
                _serve(self._config, self._listening, self._places, None)
                status = 0
        except Exception:
            log.exception(
                "receiver.failed"
            )  # a forked process must not run on in its parent's code
        finally:
            os._exit(status)

    def _reap(self) -> list[int]:
        """Collect processes that have ended; return their numbers."""
        ended = []
        for pid, number in list(self._running.items()):
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                del self._running[pid]
                self._places.clear(number)
                ended.append(number)
                log.error(
                    "receiver.ended",
                    pid=pid,
                    exit_status=os.waitstatus_to_exitcode(status),
                    restart_seconds=RESTART_SECONDS,
                )
        return ended

    def _stop(self) -> None:
        """Ask every process to finish what it holds, then end those that have not."""
        for pid in self._running:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + DRAIN_SECONDS + KILL_SECONDS
        while self._running and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
            for pid in list(self._running):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._running[pid]
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
