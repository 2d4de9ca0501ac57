"""Checks of the peers: those that get results must answer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from medaet.cli.checks.line import Line, fail, ok, warn
from medaet.config.model import Config, Peer
from medaet.errors import MedaetError
from medaet.network import scu

AT_ONCE = 8


def check_peers(config: Config) -> Iterator[Line]:
    """Send a C-ECHO to each peer; one that only sends may be silent."""
    recipients = {name for route in config.routes for name in route.send_to}
    calling = config.listener.ae_title

    def line(peer: Peer) -> Line:
        return _line(peer, calling, is_recipient=peer.name in recipients)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(line, config.peers)


def _line(peer: Peer, calling_ae_title: str, *, is_recipient: bool) -> Line:
    subject = f"peer {peer.name}"
    try:
        scu.echo(peer, calling_ae_title)
    except MedaetError as error:
        if is_recipient:
            return fail(subject, str(error), "results wait until it answers")
        return warn(subject, str(error), "needed only if it is to receive something")
    return ok(subject, f"{peer.ae_title} at {peer.host}:{peer.port} answers C-ECHO")
