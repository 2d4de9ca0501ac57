"""Checks of the listener: its port is ours, or free."""

import socket
from collections.abc import Iterator
from contextlib import closing

from medaet.cli.checks.line import Line, fail, ok, warn
from medaet.cli.checks.lock import is_held
from medaet.config.model import Config
from medaet.errors import ConfigError
from medaet.network.listening import listening_socket

LOCK = ".receive.lock"


def check_listener(config: Config) -> Iterator[Line]:
    """Look at the port, and at who may call."""
    listener = config.listener
    titles = " and ".join(listener.called_ae_titles)
    if is_held(config.spool.path / LOCK):
        yield ok("listener", f"medaetd runs here, as {titles} on port {listener.port}")
    else:
        yield _port(listener.host, listener.port, titles)
    if listener.accept_unknown_peers:
        yield warn(
            "unknown peers",
            "anybody who reaches the port may send",
            "set listener.accept_unknown_peers = false and name the senders in [[peers]]",
        )
    elif not config.peers:
        yield warn("senders", "no peer is configured: everybody is refused", "add [[peers]] tables")


def _port(host: str, port: int, titles: str) -> Line:
    try:
        with closing(listening_socket(host, port)):
            return ok("listener", f"port {port} is free for {titles}")
    except ConfigError as error:
        with socket.socket() as other:
            other.settimeout(2)
            taken = other.connect_ex(("127.0.0.1", port)) == 0
        fix = "stop what listens there" if taken else "choose another listener.port or host"
        return fail("listener", str(error), fix)
