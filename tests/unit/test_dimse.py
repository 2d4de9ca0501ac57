"""Command sets: what pynetdicom encodes is understood, what we encode pynetdicom understands."""

import struct
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_ECHO_RQ, C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import P_DATA_TF

from medaet.network import dimse
from medaet.network.dimse import Command, data_fragments, decode_command, response
from medaet.network.pdu import ProtocolError

CT, UID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4567"
EVEN = "1.2.3.456"


def _command_bytes(message: DIMSEMessage, primitive: object) -> bytes:
    """Encode the command set of a message with pynetdicom."""
    message.primitive_to_message(primitive)
    [data] = list(message.encode_msg(1, 0))[:1]
    [(_, content)] = data.presentation_data_value_list
    encoded: bytes = content[1:]
    return encoded


def _store(uid: str = UID) -> bytes:
    request = C_STORE()
    request.MessageID, request.Priority = 7, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CT, uid
    request.DataSet = BytesIO(b"12345678")
    return _command_bytes(C_STORE_RQ(), request)


def _decoded(pdu: bytes) -> DIMSEMessage:
    """Decode the message in a P-DATA-TF PDU with pynetdicom."""
    data = P_DATA_TF()
    data.decode(pdu)
    assert data.encode() == pdu
    message = DIMSEMessage()
    assert message.decode_msg(data.to_primitive())
    return message


@pytest.mark.parametrize("uid", [UID, EVEN])
def test_store_request_is_understood_as_pynetdicom_means_it(uid: str) -> None:
    command = decode_command(_store(uid))
    assert command.field == dimse.C_STORE_RQ
    assert command.number(dimse.MESSAGE_ID) == 7
    assert command.uid(dimse.AFFECTED_SOP_CLASS_UID) == CT
    assert command.uid(dimse.AFFECTED_SOP_INSTANCE_UID) == uid
    assert command.has_data_set


def test_echo_request_is_understood_as_pynetdicom_means_it() -> None:
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 65535, "1.2.840.10008.1.1"
    command = decode_command(_command_bytes(C_ECHO_RQ(), request))
    assert (command.field, command.number(dimse.MESSAGE_ID)) == (dimse.C_ECHO_RQ, 65535)
    assert not command.has_data_set


@given(
    st.sampled_from([0x0000, 0xA700, 0xA900, 0xC000, 0x0110, 0xB007]),
    st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\\"), max_size=64),
    st.sampled_from([UID, EVEN]),
)
def test_store_response_is_understood_by_pynetdicom(status: int, comment: str, uid: str) -> None:
    message = _decoded(response(decode_command(_store(uid)), 5, status, comment))
    assert isinstance(message, C_STORE_RSP)
    elements = message.command_set
    assert elements.Status == status
    assert elements.MessageIDBeingRespondedTo == 7
    assert elements.AffectedSOPClassUID == CT
    assert elements.AffectedSOPInstanceUID == uid
    assert elements.CommandDataSetType == 0x0101
    said = elements.get("ErrorComment", "")
    assert str(said).strip() == comment.encode("ascii", "replace").decode("ascii").strip()


def test_response_is_one_pdu_with_a_true_group_length() -> None:
    pdu = response(decode_command(_store()), 5, 0)
    content = pdu[12:]
    assert struct.unpack_from("<HHLL", content) == (0, 0, 4, len(content) - 12)
    assert struct.unpack_from(">BxLLBB", pdu) == (4, len(pdu) - 6, len(pdu) - 10, 5, 3)


def test_echo_response_is_understood_by_pynetdicom() -> None:
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 3, "1.2.840.10008.1.1"
    command = decode_command(_command_bytes(C_ECHO_RQ(), request))
    message = _decoded(response(command, 1, 0))
    assert isinstance(message, C_ECHO_RSP)
    assert "AffectedSOPInstanceUID" not in message.command_set


@given(st.binary(max_size=500), st.integers(7, 200))
def test_data_set_is_cut_into_pdus_that_the_peer_takes(content: bytes, maximum: int) -> None:
    pdus = list(data_fragments(3, content, maximum))
    assert all(len(pdu) - 6 <= maximum for pdu in pdus)
    assert b"".join(pdu[12:] for pdu in pdus) == content
    assert [pdu[11] for pdu in pdus] == [0] * (len(pdus) - 1) + [2]
    assert next(data_fragments(3, content, 0))[12:] == content


@given(st.binary(max_size=200))
def test_any_bytes_give_a_command_or_a_protocol_error(content: bytes) -> None:
    with suppress(ProtocolError):
        command = decode_command(content)
        command.uid(dimse.AFFECTED_SOP_CLASS_UID)
        response(command, 1, 0)


@pytest.mark.parametrize("raw", [None, b"", b"\1", b"\1\0\0\0"])
def test_number_that_is_none_is_an_error(raw: bytes | None) -> None:
    values = {} if raw is None else {dimse.COMMAND_FIELD: raw}
    with pytest.raises(ProtocolError, match="0000,0100"):
        _ = Command(values).field
