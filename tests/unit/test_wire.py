"""The bytes of a connection: the same fragments however they arrive, and no more patience than was said."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaet.network import wire as module
from medaet.network.dimse import COMMAND, LAST, PDV_HEADER
from medaet.network.pdu import DATA_TF, HEADER, RELEASE_RQ, ProtocolError
from medaet.network.wire import LONGEST_PDU_BYTES, ConnectionEndedError, Wire

RELEASE = HEADER.pack(RELEASE_RQ, 4) + bytes(4)

values = st.tuples(
    st.integers(0, 255), st.sampled_from([0, COMMAND, LAST, COMMAND | LAST]), st.binary(max_size=40)
)
pdus = st.lists(st.lists(values, min_size=1, max_size=4), max_size=5)


def _encoded(contents: list[list[tuple[int, int, bytes]]]) -> bytes:
    """Encode P-DATA-TF PDUs, each with several presentation data values, and a request for release."""
    whole = b""
    for content in contents:
        body = b"".join(
            PDV_HEADER.pack(len(value) + 2, context_id, control) + value
            for context_id, control, value in content
        )
        whole += HEADER.pack(DATA_TF, len(body)) + body
    return whole + RELEASE


class _Trickle:
    """A connection that hands out what it holds in portions of given sizes."""

    def __init__(self, content: bytes, sizes: Iterator[int]) -> None:
        self._content = content
        self._sizes = sizes

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def setsockopt(self, *_: int) -> None:
        raise OSError

    def recv_into(self, view: memoryview) -> int:
        size = min(next(self._sizes), len(view), len(self._content))
        view[:size] = self._content[:size]
        self._content = self._content[size:]
        return size


def _heard(content: bytes, sizes: list[int]) -> list[tuple[int, bool, bool, bytes]]:
    """Join the fragments of each presentation data value, in portions of these sizes, over and over."""

    def endless() -> Iterator[int]:
        while True:
            yield from sizes

    one = Wire(_Trickle(content, endless()), 5)  # type: ignore[arg-type]
    return [
        (context_id, is_command, is_last, bytes(value))
        for batch in one.fragments()
        for context_id, is_command, is_last, value in batch
    ]


@settings(max_examples=300)
@given(pdus, st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_message_is_the_same_however_it_arrives(
    contents: list[list[tuple[int, int, bytes]]], sizes: list[int]
) -> None:
    heard = _heard(_encoded(contents), sizes)
    sent = [one for content in contents for one in content]
    for is_command in (True, False):
        joined = b"".join(value for _, kind, _, value in heard if kind is is_command)
        kind = COMMAND if is_command else 0
        assert joined == b"".join(value for _, control, value in sent if control & COMMAND == kind)
    lasts = [
        (context_id, bool(control & COMMAND)) for context_id, control, _ in sent if control & LAST
    ]
    assert [(context_id, kind) for context_id, kind, is_last, _ in heard if is_last] == lasts


@settings(max_examples=300)
@given(st.binary(max_size=200), st.lists(st.integers(1, 50), min_size=1, max_size=4))
def test_any_bytes_end_in_a_release_or_an_error_of_ours(content: bytes, sizes: list[int]) -> None:
    try:
        _heard(content, sizes)
    except (ProtocolError, ConnectionEndedError):
        return
    assert RELEASE[:1] in content


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(HEADER.pack(DATA_TF, LONGEST_PDU_BYTES + 1), id="too-long"),
        pytest.param(HEADER.pack(DATA_TF, 0), id="empty"),
        pytest.param(HEADER.pack(DATA_TF, 5) + bytes(5), id="shorter-than-a-value"),
        pytest.param(HEADER.pack(DATA_TF, 6) + PDV_HEADER.pack(1, 1, 0), id="no-control-header"),
        pytest.param(HEADER.pack(DATA_TF, 6) + PDV_HEADER.pack(3, 1, 0), id="value-beyond-the-pdu"),
        pytest.param(
            HEADER.pack(DATA_TF, 9) + PDV_HEADER.pack(2, 1, 0), id="rest-that-is-no-value"
        ),
        pytest.param(HEADER.pack(1, 4), id="second-request"),
        pytest.param(HEADER.pack(2, 4), id="acceptance"),
        pytest.param(HEADER.pack(6, 4), id="release-response"),
        pytest.param(HEADER.pack(8, 4), id="unknown-type"),
    ],
)
def test_peer_that_breaks_the_rules_is_told_so(content: bytes) -> None:
    with pytest.raises(ProtocolError):
        _heard(content, [7])


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Wire]]:
    ours, theirs = socket.socketpair()
    with theirs, closing(Wire(ours, 0.3)) as one:
        yield theirs, one


def test_read_pdu_refuses_a_length_before_it_reads(pair: tuple[socket.socket, Wire]) -> None:
    theirs, one = pair
    theirs.sendall(b"\1\0\xff\xff\xff\xff")
    with pytest.raises(ProtocolError, match="4294967295"):
        one.read_pdu(1)


def test_read_pdu_waits_no_longer_than_it_was_told(pair: tuple[socket.socket, Wire]) -> None:
    theirs, one = pair
    stop = threading.Event()

    def drip() -> None:
        theirs.sendall(b"\1\0\0\0\1\0")
        while not stop.wait(0.02):
            theirs.sendall(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        with pytest.raises(ConnectionEndedError, match="in time"):
            one.read_pdu(0.2)
    finally:
        stop.set()
        dripping.join()


@pytest.mark.parametrize("content", [b"", b"\1\0\0", b"\1\0\0\0\0\x0aabc"])
def test_read_pdu_notices_an_early_end(pair: tuple[socket.socket, Wire], content: bytes) -> None:
    theirs, one = pair
    theirs.sendall(content)
    theirs.close()
    with pytest.raises(ConnectionEndedError, match="closed"):
        one.read_pdu(1)


def test_silence_ends_the_association(pair: tuple[socket.socket, Wire]) -> None:
    _, one = pair
    with pytest.raises(ConnectionEndedError, match="nothing was heard") as caught:
        list(one.fragments())
    assert caught.value.is_to_be_told


def test_message_that_drips_ends_the_association(
    pair: tuple[socket.socket, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, one = pair
    monkeypatch.setattr(module, "RATE_SECONDS", 0.1)
    theirs.sendall(HEADER.pack(DATA_TF, 100_000) + PDV_HEADER.pack(99_996, 1, 0))
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.02):
            theirs.sendall(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    one.begin_message()
    try:
        with pytest.raises(ConnectionEndedError, match="bytes arrived in"):
            list(one.fragments())
    finally:
        stop.set()
        dripping.join()


def test_message_that_is_slow_but_not_too_slow_is_heard(
    pair: tuple[socket.socket, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, one = pair
    monkeypatch.setattr(module, "RATE_SECONDS", 0.05)
    monkeypatch.setattr(module, "SLOWEST_BYTES_A_SECOND", 1)
    body = PDV_HEADER.pack(20_002, 1, LAST) + bytes(20_000)
    content = HEADER.pack(DATA_TF, len(body)) + body

    def send() -> None:
        for at in range(0, len(content), 2000):
            theirs.sendall(content[at : at + 2000])
            threading.Event().wait(0.02)
        theirs.sendall(RELEASE)

    sending = threading.Thread(target=send)
    sending.start()
    one.begin_message()
    assert sum(len(part.content) for batch in one.fragments() for part in batch) == 20_000
    sending.join()


def test_interrupt_wakes_whoever_waits(pair: tuple[socket.socket, Wire]) -> None:
    _, one = pair
    threading.Timer(0.05, one.interrupt).start()
    with pytest.raises(ConnectionEndedError, match="closed"):
        one.read_pdu(5)


def test_linger_lets_the_peer_read_what_was_sent_last(pair: tuple[socket.socket, Wire]) -> None:
    theirs, one = pair
    theirs.sendall(b"unread")
    one.send(b"good-bye")
    reading = threading.Thread(target=one.linger)
    reading.start()
    assert theirs.recv(100) == b"good-bye"
    theirs.close()
    reading.join(5)
    assert not reading.is_alive()
