"""The server under the storage SCP: one listening socket, and a limit on connections that say nothing."""

import socket
import sys
from collections.abc import Callable, Sequence

import structlog
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.transport import AssociationServer, RequestHandler

from medaet.errors import ConfigError
from medaet.network.contexts import NATIVE, VERIFICATION
from medaet.network.sockets import PeerSocket

log = structlog.get_logger()

BACKLOG = 128
SPARE_CONNECTIONS = 64
"""Connections beyond the limit of associations: peers that have not asked for one yet."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind a listening socket, to be made before the processes that share it fork.

    Args:
        host: Address or name to listen on.
        port: 0 for any free port.

    Raises:
        ConfigError: the address is in use, is not of this host, or needs privileges.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"listener: {host}:{port} cannot be bound: {error.strerror}; "
            "stop what uses it, or choose another listener.port (below 1024 takes privileges)"
        ) from error
    listening.setblocking(
        False
    )  # processes race to accept; the slower ones must not wait in accept()
    return listening


class Server(AssociationServer):
    """A server on a listening socket that is already bound.

    Args:
        entity: Whose associations these are.
        listening: From `listening_socket`.
        handlers: Pairs of pynetdicom event and callable.
        maximum_connections: TCP connections beyond this are closed at once.
        on_tick: Called about every half second.
    """

    def __init__(
        self,
        entity: AE,
        listening: socket.socket,
        handlers: Sequence[tuple[object, Callable[..., object]]],
        *,
        maximum_connections: int,
        on_tick: Callable[[], None],
    ) -> None:
        self._listening = listening
        self._maximum_connections = maximum_connections
        self._on_tick = on_tick
        super().__init__(
            entity,
            listening.getsockname()[:2],
            entity.ae_title,
            [build_context(VERIFICATION, list(NATIVE))],
            evt_handlers=list(handlers),
            request_handler=_Connection,
        )

    def server_bind(self) -> None:
        """Take over the listening socket."""
        self.socket.close()
        self.socket: socket.socket = self._listening
        self.server_address = self._listening.getsockname()

    def server_activate(self) -> None:
        """Do nothing: the socket listens already."""

    def server_close(self) -> None:
        """Close this process's copy only; shutting the socket down would deafen the others."""
        self.socket.close()

    def shutdown(self) -> None:
        """Stop accepting."""
        super(AssociationServer, self).shutdown()

    def verify_request(self, request: object, client_address: tuple[str, int]) -> bool:  # noqa: ARG002
        """Close connections beyond the limit before they cost two threads."""
        if len(self.active_associations) < self._maximum_connections:
            return True
        log.warning(
            "connection.refused",
            address=client_address[0],
            reason=f"{self._maximum_connections} connections are open",
            remedy="look for a peer that connects and says nothing, or raise listener.maximum_associations",
        )
        return False

    def handle_error(self, request: object, client_address: tuple[str, int]) -> None:  # noqa: ARG002
        """Log a connection that could not be served, where socketserver would write to standard error."""
        log.error("connection.failed", address=client_address[0], exc_info=sys.exc_info())

    def service_actions(self) -> None:
        """Do what must be done now and then."""
        super().service_actions()
        self._on_tick()


class _Connection(RequestHandler):
    """Starts an association whose socket keeps the limits."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dul.event_queue.get_nowait()  # "connected", said by the socket that is replaced here
        association.dul.socket = PeerSocket(association, client_socket=self.request)
        association.dul.socket.prepare()
        return association
