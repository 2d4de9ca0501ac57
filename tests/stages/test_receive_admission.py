"""Who is let in by the storage SCP, how many, and what peers that keep no rules cost."""

import contextlib
import socket
import threading
import time

import pytest
from structlog.testing import capture_logs

from medaet.config.model import Listener
from medaet.errors import PeerUnavailableError
from medaet.network.scu import echo
from tests.stages.receiving import Disk, Listening, is_answered, sample, sent, wait_for


def test_echo_is_answered(serve: Listening) -> None:
    with serve(Disk()) as peer:
        echo(peer, "SCANNER")


def test_unknown_called_title_is_rejected_and_the_remedy_logged(serve: Listening) -> None:
    with (
        capture_logs() as events,
        serve(Disk()) as peer,
        pytest.raises(PeerUnavailableError, match="Called AE title not recognised"),
    ):
        echo(peer.model_copy(update={"ae_title": "OTHER"}), "SCANNER")
    [refused] = [one for one in events if one["event"] == "association.refused"]
    assert refused["called_ae_title"] == "OTHER"
    assert "[[listener.aliases]]" in refused["remedy"]


def test_unknown_calling_title_is_rejected_and_the_remedy_logged(serve: Listening) -> None:
    with (
        capture_logs() as events,
        serve(Disk()) as peer,
        pytest.raises(PeerUnavailableError, match="Calling AE title not recognised"),
    ):
        echo(peer, "STRANGER")
    [refused] = [one for one in events if one["event"] == "association.refused"]
    assert 'ae_title = "STRANGER"' in refused["remedy"]


def test_unknown_calling_title_is_let_in_where_strangers_are_accepted(serve: Listening) -> None:
    with serve(Disk(), Listener(accept_unknown_peers=True)) as peer:
        echo(peer, "STRANGER")


def test_association_beyond_the_limit_is_rejected_for_now(serve: Listening) -> None:
    disk = Disk()
    disk.go_on.clear()
    with serve(disk, Listener(maximum_associations=1)) as peer:
        sender = threading.Thread(target=sent, args=(peer, sample()))
        sender.start()
        assert disk.entered.wait(10)
        with pytest.raises(PeerUnavailableError, match="Rejected Transient, Local limit exceeded"):
            echo(peer, "SCANNER")
        disk.go_on.set()
        sender.join(10)
        wait_for(lambda: is_answered(peer))


def test_silent_connections_do_not_keep_others_out(serve: Listening) -> None:
    with contextlib.ExitStack() as stack, serve(Disk()) as peer:
        for _ in range(30):
            silent = stack.enter_context(socket.create_connection((peer.host, peer.port)))
        silent.sendall(b"\x01\x00\x00\x00\x10\x00half a request")
        started = time.monotonic()
        echo(peer, "SCANNER")
        assert time.monotonic() - started < 5


def test_pdu_that_claims_four_gigabytes_ends_the_connection(serve: Listening) -> None:
    with serve(Disk()) as peer, socket.create_connection((peer.host, peer.port)) as liar:
        liar.sendall(b"\x01\x00\xff\xff\xff\xff" + bytes(1000))
        liar.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert liar.recv(10) in (b"", b"\x07\0\0\0\0\4\0\0\2\6")  # an A-ABORT is allowed
            assert liar.recv(10) == b""
