"""The engine of our own against pynetdicom as the oracle: the same bytes in, the same answers out."""

import contextlib
import functools
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu import A_ASSOCIATE_AC, P_DATA_TF

from medaet.config.model import Listener, Peer
from medaet.network import dimse
from medaet.network.contexts import TRANSFER_SYNTAXES
from medaet.network.dimse import COMMAND, LAST, PDV_HEADER, encode_command
from medaet.network.pdu import (
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    DATA_TF,
    HEADER,
    RELEASE_RP,
)
from tests.stages.receiving import CT, ENGINES, EXPLICIT, Disk, data_set, listening, sample

ECHO, FIND, JPIP = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.1.2.4.94"
RELEASE = HEADER.pack(5, 4) + bytes(4)
UID = str(dcmread(sample()).SOPInstanceUID)
CONTENT = data_set(sample().read_bytes())


class Message(NamedTuple):
    """A request: "echo" or "store", in one of the proposed contexts, cut into values of a size."""

    kind: str
    context: int
    value_bytes: int
    values_a_pdu: int
    is_cut: bool


@dataclass(repr=False)
class Engines:
    """Both engines, each with a disk of its own."""

    peers: dict[str, Peer]
    disks: dict[str, Disk]


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    with contextlib.ExitStack() as stack:
        disks = {name: Disk() for name in ENGINES}
        rules = Listener(accept_unknown_peers=True)
        start = functools.partial(listening, listener=rules)
        peers = {name: stack.enter_context(start(name, disks[name])) for name in ENGINES}
        yield Engines(peers, disks)


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def _request(proposals: Sequence[tuple[str, Sequence[str]]], called: str) -> bytes:
    items = _item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, (abstract, syntaxes) in enumerate(proposals):
        inner = _item(0x30, abstract.encode())
        inner += b"".join(_item(0x40, one.encode()) for one in syntaxes)
        items += _item(0x20, bytes((2 * number + 1, 0, 0, 0)) + inner)
    items += _item(0x50, _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"1.2.3"))
    titles = called.ljust(16).encode() + b"ORACLE          "
    body = b"\0\1\0\0" + titles + bytes(32) + items
    return HEADER.pack(1, len(body)) + body


def _message(message: Message, number: int) -> bytes:
    context_id = 2 * message.context + 1
    is_store = message.kind == "store"
    sop_class = CT if is_store else ECHO
    command = encode_command(
        context_id,
        [
            (dimse.AFFECTED_SOP_CLASS_UID, sop_class),
            (dimse.COMMAND_FIELD, dimse.C_STORE_RQ if is_store else dimse.C_ECHO_RQ),
            (dimse.MESSAGE_ID, number),
            (0x0700, 2),
            (dimse.DATA_SET_TYPE, 1 if is_store else dimse.NO_DATA_SET),
            *([(dimse.AFFECTED_SOP_INSTANCE_UID, UID)] if is_store else []),
        ],
    )
    values = [(COMMAND, LAST, command[12:])]
    if is_store:
        content = CONTENT[:-100] if message.is_cut else CONTENT
        values.append((0, LAST, content))
    return _cut(context_id, values, message.value_bytes, message.values_a_pdu)


def _cut(context_id: int, values: list[tuple[int, int, bytes]], size: int, number: int) -> bytes:
    """Cut values into fragments, and put so many of them into each PDU."""
    fragments = []
    for kind, last, content in values:
        for at in range(0, len(content), size):
            control = kind | (last if at + size >= len(content) else 0)
            part = content[at : at + size]
            fragments.append(PDV_HEADER.pack(len(part) + 2, context_id, control) + part)
    whole = b""
    for at in range(0, len(fragments), number):
        body = b"".join(fragments[at : at + number])
        whole += HEADER.pack(DATA_TF, len(body)) + body
    return whole


def _answers(peer: Peer, request: bytes, messages: Sequence[bytes]) -> list[object]:
    """Talk to an SCP; return what it answered, as far as both have to agree on it."""
    with socket.create_connection((peer.host, peer.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        found = [_understood(connection)]
        if isinstance(found[0], tuple) and found[0][0] == "accepted":
            for message in messages:
                connection.sendall(message)
                found.append(_understood(connection))
            connection.sendall(RELEASE)
            found.append(_understood(connection))
        return found


def _understood(connection: socket.socket) -> object:
    head = _exactly(connection, HEADER.size)
    kind, length = HEADER.unpack(head)
    pdu = head + _exactly(connection, length)
    if kind == ASSOCIATE_AC:
        return _contexts(pdu)
    if kind == ASSOCIATE_RJ:
        return ("rejected", *pdu[7:10])
    if kind == RELEASE_RP:
        return ("released",)
    assert kind == DATA_TF
    data = P_DATA_TF()
    data.decode(pdu)
    message = DIMSEMessage()
    while not message.decode_msg(data.to_primitive()):  # pynetdicom sends a command set in pieces
        head = _exactly(connection, HEADER.size)
        data = P_DATA_TF()
        data.decode(head + _exactly(connection, HEADER.unpack(head)[1]))
    found = message.command_set
    return (
        type(message).__name__,
        int(found.Status),
        int(found.MessageIDBeingRespondedTo),
        str(found.get("AffectedSOPClassUID", "")),
        str(found.get("AffectedSOPInstanceUID", "")),
    )


def _contexts(pdu: bytes) -> object:
    answer = A_ASSOCIATE_AC()
    answer.decode(pdu)
    primitive = answer.to_primitive()
    return (
        "accepted",
        sorted(
            (one.context_id, str(one.transfer_syntax[0]) if one.result == 0 else "refused")
            for one in primitive.presentation_context_definition_results_list
        ),
    )


def _exactly(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        part = connection.recv(count - len(content))
        assert part, "the SCP closed the connection"
        content += part
    return content


PROPOSALS = [(CT, [EXPLICIT]), (ECHO, ["1.2.840.10008.1.2"])]

messages = st.lists(
    st.builds(
        lambda kind, size, number, is_cut: Message(
            kind, 0 if kind == "store" else 1, size, number, is_cut
        ),
        st.sampled_from(["store", "echo"]),
        st.sampled_from([500, 4096, 16_372, 100_000]),
        st.integers(1, 3),
        st.booleans(),
    ),
    max_size=4,
)
syntaxes = st.sampled_from([*map(str, TRANSFER_SYNTAXES[:5]), JPIP])
proposals = st.lists(
    st.tuples(
        st.sampled_from([CT, ECHO, FIND, "1.3.46.670589.11.0.0.12.1"]),
        st.lists(syntaxes, min_size=1, max_size=3, unique=True),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: one[0],
)
steps = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@steps
@given(messages)
def test_messages_get_the_same_answers(engines: Engines, messages: list[Message]) -> None:
    request = _request(PROPOSALS, "MEDAET")
    encoded = [_message(message, number + 1) for number, message in enumerate(messages)]
    for disk in engines.disks.values():
        disk.files.clear()
        disk.intakes.clear()
    found = {name: _answers(peer, request, encoded) for name, peer in engines.peers.items()}
    assert found["own"] == found["pynetdicom"]
    assert engines.disks["own"].files == engines.disks["pynetdicom"].files


@steps
@given(proposals, st.sampled_from(["MEDAET", "OTHER"]))
def test_proposals_get_the_same_answers(
    engines: Engines, proposals: list[tuple[str, list[str]]], called: str
) -> None:
    request = _request(proposals, called)
    found = {name: _answers(peer, request, []) for name, peer in engines.peers.items()}
    assert found["own"] == found["pynetdicom"]
