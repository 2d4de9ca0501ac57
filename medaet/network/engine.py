"""The storage SCP of our own: one listening socket, and a thread for each connection."""

import errno
import selectors
import socket
import threading
import time
from collections.abc import Iterable

import structlog

from medaet import logs
from medaet.config.model import Listener, Peer
from medaet.network.admission import Admission, Places
from medaet.network.association import Association, Service
from medaet.network.listening import listening_socket
from medaet.network.reception import InstanceSink
from medaet.network.wire import Wire

log = structlog.get_logger()

SPARE_CONNECTIONS = 64
"""Connections beyond the limit of associations: peers that have not asked for one yet."""

STACK_BYTES = 512 * 1024
CLOSE_SECONDS = 3.0
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
EXHAUSTED_SECONDS = 0.2


class Engine:
    """Accepts associations in a thread each, until it is stopped.

    The thread that accepts never waits for a peer, so that none can keep the others out.

    Args:
        listener: Address, AE titles and limits.
        peers: Who may call.
        sink: Where instances go; it is called from many threads.
        listening: A bound socket, shared with other processes; None to bind one from the listener.
        places: The count of associations shared with other processes; None to count only here.

    Raises:
        ConfigError: the listener's address cannot be bound.
    """

    def __init__(
        self,
        listener: Listener,
        peers: Iterable[Peer],
        sink: InstanceSink,
        *,
        listening: socket.socket | None = None,
        places: Places | None = None,
    ) -> None:
        places = places or Places(listener.maximum_associations)
        self._listening = listening or listening_socket(listener.host, listener.port)
        self._idle_seconds = listener.idle_timeout_seconds
        self._maximum_connections = listener.maximum_associations + SPARE_CONNECTIONS
        self._service = Service(
            Admission(listener, peers, places), sink, listener.maximum_instance_bytes
        )
        self._open: dict[threading.Thread, Association] = {}
        self._changed = threading.Condition()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._accept_all, name="listener")

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listening.getsockname()[1])

    def start(self) -> None:
        """Accept associations from now on."""
        threading.stack_size(STACK_BYTES)
        self._thread.start()

    def stop(self, drain_seconds: float) -> None:
        """Stop accepting, let what has begun to arrive finish, then end what is open.

        Args:
            drain_seconds: How long to wait for those messages at most.
        """
        self._service.is_stopping = True
        with self._wake:
            self._wake.send(b".")
            self._thread.join()
        self._listening.close()  # this process's copy: others may share the socket
        with self._changed:
            for association in self._open.values():
                association.stop()
            self._changed.wait_for(self._is_quiet, drain_seconds)
            for association in self._open.values():
                association.end()
            self._changed.wait_for(lambda: not self._open, CLOSE_SECONDS)

    def _is_quiet(self) -> bool:
        return not any(association.is_busy for association in self._open.values())

    def _accept_all(self) -> None:
        with selectors.DefaultSelector() as selector, self._woken:
            selector.register(self._listening, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._service.is_stopping:
                selector.select()
                self._accept()

    def _accept(self) -> None:
        """Take one connection, if no other process was quicker."""
        try:
            connection, address = self._listening.accept()
        except BlockingIOError:
            return
        except OSError as error:
            log.error("connection.failed", address="", error=error.strerror)
            if error.errno in EXHAUSTED:  # it stays readable: wait for associations to end
                time.sleep(EXHAUSTED_SECONDS)
            return
        if len(self._open) >= self._maximum_connections:
            connection.close()
            log.warning(
                "connection.refused",
                address=address[0],
                reason=f"{self._maximum_connections} connections are open",
                remedy="look for a peer that connects and says nothing, or raise listener.maximum_associations",
            )
            return
        connection.setblocking(True)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._begin(Association(Wire(connection, self._idle_seconds), address[0], self._service))

    def _begin(self, association: Association) -> None:
        thread = threading.Thread(target=self._run, args=(association,), daemon=True)
        with self._changed:
            self._open[thread] = association
        try:
            thread.start()
        except RuntimeError:  # no more threads: the limits of the unit are lower than ours
            log.error("connection.failed", address="", error="no more threads can be started")
            association.end()
            self._forget(thread)

    def _run(self, association: Association) -> None:
        try:
            association.run()
        except Exception as error:  # noqa: BLE001 -- a defect must end this association, and be told
            log.error("connection.failed", **logs.frames(error))
        finally:
            self._forget(threading.current_thread())

    def _forget(self, thread: threading.Thread) -> None:
        with self._changed:
            self._open.pop(thread, None)
            self._changed.notify_all()
