"""The server under the fallback SCP: one listening socket, and a limit on connections that say nothing."""

import socket
import sys
from collections.abc import Callable, Sequence

import structlog
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.transport import AssociationServer, RequestHandler

from medaet.network.contexts import NATIVE, VERIFICATION
from medaet.network.sockets import PeerSocket

log = structlog.get_logger()

SPARE_CONNECTIONS = 64
"""Connections beyond the limit of associations: peers that have not asked for one yet."""


class Server(AssociationServer):
    """A server on a listening socket that is already bound.

    Args:
        entity: Whose associations these are.
        listening: A bound socket.
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
