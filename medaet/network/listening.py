"""The listening socket, bound before the processes that share it fork."""

import socket

from medaet.errors import ConfigError

BACKLOG = 512


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
    listening.setblocking(False)  # processes race to accept; the slower ones must not wait there
    return listening
