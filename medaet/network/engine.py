"""The storage SCP of our own: listening sockets, and a thread for each connection."""

import errno
import selectors
import socket
import threading
import time
from collections.abc import Iterable, Sequence

import structlog

from medaet import logs
from medaet.config.model import Listener, Peer
from medaet.network.admission import Admission, Seats
from medaet.network.association import Association, Service
from medaet.network.listening import Door, open_doors
from medaet.network.reception import InstanceSink
from medaet.network.tls import server_context
from medaet.network.wire import Wire

log = structlog.get_logger()

SPARE_CONNECTIONS = 64
"""Connections beyond the limit of associations: peers that have not asked for one yet."""

WAITING_PER_ADDRESS = 16
"""How many of these one address may have; a further one takes the place of the oldest."""

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
        doors: Bound sockets, shared with other processes; None to bind what the listener says.
        seats: Shared with other processes; None to count only here.

    Raises:
        ConfigError: the listener's address cannot be bound, or its certificates cannot be used.
    """

    def __init__(
        self,
        listener: Listener,
        peers: Iterable[Peer],
        sink: InstanceSink,
        *,
        doors: Sequence[Door] | None = None,
        seats: Seats | None = None,
    ) -> None:
        seats = seats or Seats(
            listener.maximum_associations, per_address=listener.maximum_associations_per_address
        )
        self._service = Service(
            admission=Admission(listener, peers, seats, sink.congestion),
            sink=sink,
            maximum_instance_bytes=listener.maximum_instance_bytes,
            idle_seconds=listener.idle_timeout_seconds,
            tls=None if listener.tls is None else server_context(listener.tls),
        )
        self._doors = doors if doors is not None else open_doors(listener)
        self._maximum_connections = listener.maximum_associations + SPARE_CONNECTIONS
        self._open: dict[threading.Thread, Association] = {}
        self._changed = threading.Condition()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._accept_all, name="listener")

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on: the listener's own, then that of TLS if it is another."""
        return [int(door.socket.getsockname()[1]) for door in self._doors]

    def start(self) -> None:
        """Accept associations from now on."""
        threading.stack_size(STACK_BYTES)
        self._thread.start()

    def reload(self, listener: Listener, peers: Iterable[Peer]) -> None:
        """Take over who may call and under which titles, and read the certificates again, for new associations.

        Raises:
            ConfigError: the certificates cannot be used; nothing has changed.
        """
        service = self._service
        if service.tls is not None and listener.tls is not None:
            service.tls = server_context(listener.tls)
        service.admission = Admission(
            listener, peers, service.admission.seats, service.sink.congestion
        )

    def stop(self, drain_seconds: float) -> None:
        """Stop accepting, let what has begun to arrive finish, then end what is open.

        Args:
            drain_seconds: How long to wait for those messages at most.
        """
        self._service.is_stopping = True
        with self._wake:
            self._wake.send(b".")
            self._thread.join()
        for door in self._doors:
            door.socket.close()  # this process's copy: others may share the socket
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
            for door in self._doors:
                selector.register(door.socket, selectors.EVENT_READ, door)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._service.is_stopping:
                for key, _ in selector.select():
                    if key.data is not None:
                        self._accept(key.data)

    def _accept(self, door: Door) -> None:
        """Take one connection, if no other process was quicker."""
        try:
            connection, address = door.socket.accept()
        except BlockingIOError:
            return
        except OSError as error:
            log.error("connection.failed", error=error.strerror)
            if error.errno in EXHAUSTED:  # it stays readable: wait for associations to end
                time.sleep(EXHAUSTED_SECONDS)
            return
        if not self._has_room(address[0]):
            connection.close()
            log.warning(
                "connection.refused",
                address=address[0],
                reason=f"{self._maximum_connections} connections are open",
                remedy="raise listener.maximum_associations, or look for peers that connect and say nothing",
            )
            return
        connection.setblocking(True)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        wire = Wire(connection, self._service.idle_seconds)
        self._begin(Association(wire, address[0], self._service, is_secure=door.is_secure))

    def _has_room(self, address: str) -> bool:
        """Whether one more connection may be had; those that wait longest for a word of their peers make room."""
        with self._changed:
            waiting = [one for one in self._open.values() if one.is_waiting]
            is_full = len(self._open) >= self._maximum_connections
        own = [one for one in waiting if one.address == address]
        if len(own) >= WAITING_PER_ADDRESS:
            own[0].end()
            return not is_full
        if is_full and waiting:
            waiting[0].end()
        return not is_full or bool(waiting)

    def _begin(self, association: Association) -> None:
        thread = threading.Thread(target=self._run, args=(association,), daemon=True)
        with self._changed:
            self._open[thread] = association
        try:
            thread.start()
        except RuntimeError:  # no more threads: the limits of the unit are lower than ours
            log.error("connection.failed", error="no more threads can be started")
            association.close()
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
