"""Receive instances: processes on shared listening sockets, and Success only for what is on disk and indexed."""

import contextlib
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from medaet.clock import SystemClock
from medaet.config.model import Config
from medaet.errors import ConfigError
from medaet.network.admission import Seats
from medaet.network.engine import Engine
from medaet.network.listening import Door, open_doors
from medaet.network.spooling import SpoolSink
from medaet.network.tls import server_context
from medaet.store.associations import AssociationStore, receiver_name
from medaet.store.commitments import CommitmentStore
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet_daemon.prefork import RELOAD, STOP, Prefork

if TYPE_CHECKING:
    from medaet.network.fallback import FallbackEngine

log = structlog.get_logger()

DRAIN_SECONDS = 25.0
"""How long running C-STOREs may take to finish; a little less than what the supervisor grants."""

Load = Callable[[], Config]


def main_loop(
    config: Config, ready: Callable[[], None] | None = None, load: Load | None = None
) -> None:
    """Receive until SIGTERM or SIGINT, then let running C-STOREs finish.

    SIGHUP applies what may change while associations are open: who may call, under which titles, and certificates.

    Args:
        config: The whole configuration.
        ready: Called once, when the ports are bound.
        load: Reads the configuration again.

    Raises:
        ConfigError: a port cannot be bound, or the certificates cannot be used.
    """
    # Waited for, never handled: no code of ours runs at a moment that it did not choose.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP | {RELOAD, signal.SIGCHLD})
    listener = config.listener
    _check(config)
    with contextlib.ExitStack() as stack:
        doors = open_doors(listener)
        for door in doors:
            stack.enter_context(door.socket)
        log.info(
            "listener.started",
            ae_titles=listener.called_ae_titles,
            host=listener.host,
            ports=[door.socket.getsockname()[1] for door in doors],
            processes=listener.processes,
        )
        _Receiver(config, doors, load or (lambda: config)).run(ready)
    log.info("listener.stopped")


class _Receiver:
    """The processes that receive, or the one if there is to be one."""

    def __init__(self, config: Config, doors: Sequence[Door], load: Load) -> None:
        listener = config.listener
        self._config = config
        self._doors = doors
        self._load = load
        self._seats = Seats(
            listener.maximum_associations,
            per_address=listener.maximum_associations_per_address,
            processes=listener.processes,
        )

    def run(self, ready: Callable[[], None] | None) -> None:
        """Receive until a signal says stop."""
        processes = self._config.listener.processes
        if processes == 1:
            self._serve(0, ready)
            return
        prefork = Prefork(
            processes,
            self._serve,
            ended=self._seats.clear,
            may_reload=lambda: self._loaded() is not None,
        )
        prefork.run(ready, DRAIN_SECONDS)

    def _serve(self, number: int, ready: Callable[[], None] | None = None) -> None:
        """Receive in this process."""
        self._seats.sit(number)
        config = self._config
        durable = config.listener.is_durable
        spool = Spool(
            config.spool.path, minimum_free_bytes=config.spool.minimum_free_bytes, durable=durable
        )
        with contextlib.closing(Database(config.database_url, durable=durable)) as database:
            receiver = receiver_name(number)
            AssociationStore(database, SystemClock()).lose(receiver)  # those of who was here before
            sink = SpoolSink(
                spool,
                database,
                SystemClock(),
                conflict=config.listener.conflict,
                receiver=receiver,
            )
            engine = self._engine(sink, CommitmentStore(database, spool, SystemClock()))
            engine.start()
            if ready is not None:
                ready()
            while signal.sigwait(STOP | {RELOAD}) not in STOP:
                self._reload(engine)
            engine.stop(DRAIN_SECONDS)

    def _engine(self, sink: SpoolSink, commitments: CommitmentStore) -> "Engine | FallbackEngine":
        """Choose the SCP; pynetdicom's is imported only where it is asked for."""
        config = self._config
        listener, doors, seats = config.listener, self._doors, self._seats
        if listener.engine == "own":
            offered = commitments if listener.storage_commitment != "off" else None
            return Engine(
                listener, config.peers, sink, doors=doors, seats=seats, commitments=offered
            )
        from medaet.network.fallback import FallbackEngine

        return FallbackEngine(listener, config.peers, sink, doors=doors, seats=seats)

    def _reload(self, engine: "Engine | FallbackEngine") -> None:
        config = self._loaded()
        if config is not None:
            engine.reload(config.listener, config.peers)
            log.info("listener.reloaded", ae_titles=config.listener.called_ae_titles)

    def _loaded(self) -> Config | None:
        """Read the configuration again; None, and a line in the log, when the old one has to stay."""
        try:
            config = self._load()
            _check(config)
        except ConfigError as error:
            log.error("configuration.refused", reason=str(error))
            return None
        return config


def _check(config: Config) -> None:
    """Make sure that the certificates can be used, before anything depends on them."""
    if config.listener.tls is not None:
        server_context(config.listener.tls)
