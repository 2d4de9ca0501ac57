"""P-03 to P-07: peers that lie, say nothing or never end keep nobody out, and cost little."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medaet.config.model import Peer
from medaet.demo.site import free_ports
from medaet.network.pdu import DATA_TF, HEADER
from tests.faults.receiver import Receiver, config, receiving
from tests.faults.senders import Association, request
from tests.stages.receiving import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STUCK = 200
THREADS = 5
"""The parent, and two processes with a listener each."""
MEGABYTE = 1 << 20
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    settings = config(
        tmp_path_factory.mktemp("receiver"),
        free_ports(1)[0],
        maximum_associations=300,
        maximum_associations_per_address=250,
    )
    with receiving(settings) as running:
        _echoes(running.peer)
        yield running


def _connected(peer: Peer, source: str = HERE) -> socket.socket:
    return socket.create_connection((peer.host, peer.port), timeout=10, source_address=(source, 0))


def _silent(peer: Peer) -> socket.socket:
    return _connected(peer)


def _half(peer: Peer) -> socket.socket:
    one = _connected(peer)
    one.sendall(request("MEDAET", [("1.2.840.10008.1.1", "1.2.840.10008.1.2")])[:-9])
    return one


def _idle(peer: Peer) -> socket.socket:
    return Association(peer).socket


def _dripping(peer: Peer) -> socket.socket:
    """Begin an instance and leave it there."""
    association = Association(peer)
    association.socket.sendall(association.encoded("1.2.3", bytes(100_000))[:50_000])
    return association.socket


def _echoes(peer: Peer, source: str = ELSEWHERE) -> float:
    """Associate, send a C-ECHO and release, from another address; return how many seconds that took."""
    started = time.monotonic()
    with _connected(peer, source) as one:
        one.settimeout(10)
        one.sendall(request("MEDAET", [("1.2.840.10008.1.1", "1.2.840.10008.1.2")]))
        assert _pdu(one)[0] == 2
        command = b"\0\0\2\0\x12\0\0\x001.2.840.10008.1.1\0" + b"\0\0\0\1\2\0\0\0\x30\0"
        command += b"\0\0\x10\1\2\0\0\0\1\0" + b"\0\0\0\x08\2\0\0\0\1\1"
        command = b"\0\0\0\0\4\0\0\0" + struct.pack("<L", len(command)) + command
        one.sendall(
            HEADER.pack(DATA_TF, len(command) + 6)
            + struct.pack(">LBB", len(command) + 2, 1, 3)
            + command
        )
        kind, body = _pdu(one)
        assert kind == DATA_TF
        assert b"\0\0\0\x09\2\0\0\0\0\0" in body  # Status: Success
        one.sendall(HEADER.pack(5, 4) + bytes(4))
        assert _pdu(one)[0] == 6
    return time.monotonic() - started


def _pdu(one: socket.socket) -> tuple[int, bytes]:
    head = one.recv(HEADER.size, socket.MSG_WAITALL)
    kind, length = HEADER.unpack(head)
    return kind, one.recv(length, socket.MSG_WAITALL)


@pytest.mark.parametrize("stuck", [_silent, _half, _idle, _dripping], ids=lambda one: one.__name__)
def test_stuck_connections_delay_nobody_else_and_cost_little_memory(
    receiver: Receiver, stuck: Callable[[Peer], socket.socket]
) -> None:
    before = receiver.resident_bytes()
    with contextlib.ExitStack() as stack:
        for _ in range(STUCK):
            with contextlib.suppress(OSError):
                stack.enter_context(stuck(receiver.peer))
        seconds = sorted(_echoes(receiver.peer) for _ in range(10))
        grown = receiver.resident_bytes() - before
        assert seconds[-1] < 1 + seconds[0]
        assert _echoes(receiver.peer, HERE) < 5
    assert grown < 64 * MEGABYTE
    wait_for(lambda: _threads(receiver) <= THREADS, 30)


def _threads(receiver: Receiver) -> int:
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in receiver.pids())


@pytest.mark.parametrize("kind", [1, 2, 4, 7, 0xFF])
def test_length_that_lies_is_cut_off_before_it_costs_anything(
    receiver: Receiver, kind: int
) -> None:
    before = receiver.resident_bytes()
    for is_associated in (False, True):
        one = Association(receiver.peer).socket if is_associated else _connected(receiver.peer)
        with one:
            one.sendall(struct.pack(">BxL", kind, 0xFFFFFFFF))
            taken = _poured(one, 256 * MEGABYTE)
        assert taken < 16 * MEGABYTE  # what the kernels of both sides hold
    assert receiver.resident_bytes() - before < 8 * MEGABYTE
    _echoes(receiver.peer)


def _poured(one: socket.socket, size: int) -> int:
    """Send until the peer has had enough; return how much went out."""
    block, sent = bytes(65_536), 0
    one.settimeout(5)
    with contextlib.suppress(OSError):
        while sent < size:
            sent += one.send(block)
    return sent


def test_limit_of_one_address_leaves_seats_for_the_others(tmp_path: Path, free_port: int) -> None:
    settings = config(
        tmp_path, free_port, maximum_associations=20, maximum_associations_per_address=8
    )
    with receiving(settings) as receiver, contextlib.ExitStack() as stack:
        held = [Association(receiver.peer) for _ in range(12)]
        for one in held:
            stack.callback(one.close)
        assert [one.is_established for one in held] == [True] * 8 + [False] * 4
        _echoes(receiver.peer)
        held[0].release()
        again = Association(receiver.peer)
        stack.callback(again.close)
        assert again.is_established


def test_connections_that_come_and_go_leave_nothing_behind(receiver: Receiver) -> None:
    """P-06 and P-16, the short form: descriptors, threads and memory stay as they were."""
    words = [b"", b"\1\0\0", bytes(range(256)), b"GET / HTTP/1.1\r\n\r\n", b"\7\0\0\0\0\4\0\0\0\0"]
    _come_and_go(receiver.peer, words, 100)
    wait_for(lambda: _threads(receiver) <= THREADS, 30)
    before, descriptors = receiver.resident_bytes(), _descriptors(receiver)
    _come_and_go(receiver.peer, words, 1000)
    for _ in range(100):
        _echoes(receiver.peer)
    wait_for(lambda: _threads(receiver) <= THREADS, 30)
    assert _descriptors(receiver) <= descriptors
    assert receiver.resident_bytes() - before < 4 * MEGABYTE


def _come_and_go(peer: Peer, words: list[bytes], count: int) -> None:
    def go(start: int) -> None:
        for number in range(start, count, 4):
            with contextlib.suppress(OSError), _connected(peer) as one:
                one.sendall(words[number % len(words)])

    threads = [threading.Thread(target=go, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def _descriptors(receiver: Receiver) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in receiver.pids())
