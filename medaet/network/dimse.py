"""DIMSE messages (PS3.7): command sets to and from bytes, and the P-DATA-TF PDUs that carry them."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from medaet.network.pdu import DATA_TF, HEADER, ProtocolError

C_STORE_RQ, C_ECHO_RQ, C_CANCEL_RQ = 0x0001, 0x0030, 0x0FFF
N_EVENT_REPORT_RQ, N_ACTION_RQ = 0x0100, 0x0130
RESPONSE = 0x8000
"""Set in the Command Field of every response (PS3.7 §E.1)."""

NO_DATA_SET = 0x0101
"""Command Data Set Type of a message without a data set (PS3.7 §E.1)."""

PDV_HEADER = struct.Struct(">LBB")
"""Length, presentation context ID and message control header (PS3.8 §9.3.5.1, §E.2)."""

COMMAND, LAST = 1, 2
"""Bits of the message control header."""

_ELEMENT = struct.Struct("<HHL")
_NUMBER = struct.Struct("<H")

GROUP_LENGTH, AFFECTED_SOP_CLASS_UID, REQUESTED_SOP_CLASS_UID = 0x0000, 0x0002, 0x0003
COMMAND_FIELD, MESSAGE_ID, MESSAGE_ID_RESPONDED_TO = 0x0100, 0x0110, 0x0120
DATA_SET_TYPE, STATUS, ERROR_COMMENT = 0x0800, 0x0900, 0x0902
AFFECTED_SOP_INSTANCE_UID, REQUESTED_SOP_INSTANCE_UID = 0x1000, 0x1001
EVENT_TYPE_ID, ACTION_TYPE_ID = 0x1002, 0x1008


@dataclass(frozen=True, slots=True)
class Command:
    """A command set: raw values by element number of group 0000."""

    values: Mapping[int, bytes]

    @property
    def field(self) -> int:
        """Which service, and whether this is its response."""
        return self.number(COMMAND_FIELD)

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows."""
        return self.number(DATA_SET_TYPE) != NO_DATA_SET

    def number(self, element: int) -> int:
        """Return a value of VR US.

        Raises:
            ProtocolError: it is absent, or is not one number.
        """
        raw = self.values.get(element, b"")
        if len(raw) != _NUMBER.size:
            raise ProtocolError(f"(0000,{element:04X}) is not one number of 16 bits")
        return int(_NUMBER.unpack(raw)[0])

    def uid(self, element: int) -> str:
        """Return a value of VR UI as it is, without padding; "" when absent."""
        return self.values.get(element, b"").decode("ascii", "replace").rstrip(" \0")


def decode_command(content: bytes) -> Command:
    """Take apart a command set, always implicit VR little endian (PS3.7 §6.3.1).

    Its Command Group Length is not believed: it says nothing that the fragments do not.

    Raises:
        ProtocolError: an element ends early, or is of another group.
    """
    values: dict[int, bytes] = {}
    at = 0
    while at < len(content):
        if at + _ELEMENT.size > len(content):
            raise ProtocolError("the command set is cut short")
        group, element, length = _ELEMENT.unpack_from(content, at)
        at += _ELEMENT.size
        if group or at + length > len(content):
            raise ProtocolError(
                "the command set holds something else than whole elements of group 0000"
            )
        values[element] = content[at : at + length]
        at += length
    return Command(values)


def encode_command(context_id: int, values: Iterable[tuple[int, int | str | bytes]]) -> bytes:
    """Encode a command set as one P-DATA-TF PDU, to be sent in one piece.

    Args:
        context_id: Of the presentation context.
        values: Element numbers in ascending order, with a number (US), a UID or raw bytes.
    """
    elements = b"".join(_element(element, value) for element, value in values)
    content = _element(GROUP_LENGTH, struct.pack("<L", len(elements))) + elements
    return _fragment(context_id, COMMAND | LAST, content)


def response(
    command: Command,
    context_id: int,
    status: int,
    comment: str = "",
    *,
    extra: tuple[tuple[int, int], ...] = (),
) -> bytes:
    """Encode the response to a request that carries no data set back (PS3.7 §9.3, §10.3).

    Args:
        command: The request.
        context_id: Of the presentation context.
        status: PS3.7 Annex C.
        comment: For the peer, at most 64 characters of ASCII.
        extra: Further elements above (0000,1001), such as the Action Type ID.
    """
    sop_class = command.uid(AFFECTED_SOP_CLASS_UID) or command.uid(REQUESTED_SOP_CLASS_UID)
    instance = command.uid(AFFECTED_SOP_INSTANCE_UID) or command.uid(REQUESTED_SOP_INSTANCE_UID)
    values: list[tuple[int, int | str | bytes]] = [
        (AFFECTED_SOP_CLASS_UID, sop_class),
        (COMMAND_FIELD, command.field | RESPONSE),
        (MESSAGE_ID_RESPONDED_TO, command.number(MESSAGE_ID)),
        (DATA_SET_TYPE, NO_DATA_SET),
        (STATUS, status),
    ]
    if comment:
        values.append((ERROR_COMMENT, _padded(comment.encode("ascii", "replace"), b" ")))
    if instance:
        values.append((AFFECTED_SOP_INSTANCE_UID, instance))
    return encode_command(context_id, [*values, *extra])


def data_fragments(context_id: int, content: bytes, maximum_length: int) -> Iterator[bytes]:
    """Encode a data set as P-DATA-TF PDUs.

    Args:
        context_id: Of the presentation context.
        content: The encoded data set.
        maximum_length: Of a PDU, as the peer announced it; 0 for any length.
    """
    size = max(maximum_length - PDV_HEADER.size, 1) if maximum_length else max(len(content), 1)
    for at in range(0, max(len(content), 1), size):
        last = LAST if at + size >= len(content) else 0
        yield _fragment(context_id, last, content[at : at + size])


def _fragment(context_id: int, control: int, content: bytes) -> bytes:
    length = len(content) + 2
    return HEADER.pack(DATA_TF, length + 4) + PDV_HEADER.pack(length, context_id, control) + content


def _element(element: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        raw = _NUMBER.pack(value)
    elif isinstance(value, str):
        raw = _padded(value.encode("ascii", "replace"), b"\0")
    else:
        raw = value
    return _ELEMENT.pack(0, element, len(raw)) + raw


def _padded(raw: bytes, filler: bytes) -> bytes:
    """Make the length even (PS3.5 §6.2)."""
    return raw + filler * (len(raw) % 2)
