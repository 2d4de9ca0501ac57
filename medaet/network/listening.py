"""The listening sockets, bound before the processes that share them fork."""

import socket
from dataclasses import dataclass

from medaet.config.model import Listener
from medaet.errors import ConfigError

BACKLOG = 512


@dataclass(frozen=True, slots=True)
class Door:
    """A listening socket.

    Attributes:
        is_secure: Whether TLS is spoken there, and nothing else.
    """

    socket: socket.socket
    is_secure: bool = False


def open_doors(listener: Listener) -> list[Door]:
    """Bind the listener's port, and that of TLS if it has one of its own.

    Raises:
        ConfigError: an address is in use, is not of this host, or needs privileges.
    """
    tls = listener.tls
    first = listening_socket(listener.host, listener.port)
    if tls is None or tls.port is None:
        return [Door(first, is_secure=tls is not None)]
    try:
        return [Door(first), Door(listening_socket(listener.host, tls.port), is_secure=True)]
    except ConfigError:
        first.close()
        raise


def listening_socket(host: str, port: int, *, section: str = "listener") -> socket.socket:
    """Bind one listening socket.

    Args:
        host: Address or name to listen on.
        port: 0 for any free port.
        section: Of the configuration, for the message.

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
            f"{section}: {host}:{port} cannot be bound: {error.strerror}; "
            f"stop what uses it, or choose another {section}.port (below 1024 takes privileges)"
        ) from error
    listening.setblocking(False)  # processes race to accept; the slower ones must not wait there
    return listening
