"""PDUs of association control: what pynetdicom encodes is understood, what we encode pynetdicom understands."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.pdu import (
    A_ABORT_RQ,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
)
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from medaet.dicom.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from medaet.network.contexts import TRANSFER_SYNTAXES, usable
from medaet.network.negotiation import MAXIMUM_PDU_BYTES, agree, misunderstanding
from medaet.network.pdu import (
    APPLICATION_CONTEXT,
    ProtocolError,
    decode_request,
    encode_abort,
    encode_reject,
    encode_release_response,
)

CT, MR, ECHO = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.1.1"
PRIVATE = "1.3.46.670589.11.0.0.12.1"
JPIP = "1.2.840.10008.1.2.4.94"
HEADER_BYTES = 6

titles = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"),
    min_size=1,
    max_size=16,
)
proposals = st.lists(
    st.tuples(
        st.sampled_from([CT, MR, ECHO, FIND, PRIVATE]),
        st.lists(
            st.sampled_from([*map(str, TRANSFER_SYNTAXES[:6]), JPIP]),
            min_size=1,
            max_size=4,
            unique=True,
        ),
    ),
    min_size=1,
    max_size=12,
)


def _request(
    called: str, calling: str, wanted: list[tuple[str, list[str]]], maximum: int = 16382
) -> bytes:
    """Encode an A-ASSOCIATE-RQ with pynetdicom."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(APPLICATION_CONTEXT)
    primitive.called_ae_title, primitive.calling_ae_title = called, calling
    length, class_uid = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = maximum
    class_uid.implementation_class_uid = UID("1.2.3")
    name = ImplementationVersionNameNotification()
    name.implementation_version_name = "TEST"
    primitive.user_information = [length, class_uid, name]
    contexts = [build_context(abstract, syntaxes) for abstract, syntaxes in wanted]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    encoded: bytes = pdu.encode()
    return encoded


@given(titles, titles, proposals, st.sampled_from([0, 4096, 16382, 131_072]))
def test_request_is_understood_as_pynetdicom_means_it(
    called: str, calling: str, wanted: list[tuple[str, list[str]]], maximum: int
) -> None:
    request = decode_request(_request(called, calling, wanted, maximum)[HEADER_BYTES:])
    assert (request.called_ae_title, request.calling_ae_title) == (called, calling)
    assert request.maximum_length == maximum
    assert request.application_context == APPLICATION_CONTEXT
    found = [(one.abstract_syntax, list(one.transfer_syntaxes)) for one in request.contexts]
    assert found == wanted
    assert [one.context_id for one in request.contexts] == [2 * n + 1 for n in range(len(wanted))]


@given(proposals)
def test_answer_is_understood_by_pynetdicom(wanted: list[tuple[str, list[str]]]) -> None:
    encoded = _request("MEDAET", "SCANNER", wanted)
    agreement = agree(decode_request(encoded[HEADER_BYTES:]))
    answer = A_ASSOCIATE_AC()
    answer.decode(agreement.answer)
    assert answer.encode() == agreement.answer
    primitive = answer.to_primitive()
    assert primitive.called_ae_title == "MEDAET"
    assert primitive.calling_ae_title == "SCANNER"
    assert primitive.application_context_name == APPLICATION_CONTEXT
    facts = {type(one): one for one in primitive.user_information}
    assert facts[MaximumLengthNotification].maximum_length_received == MAXIMUM_PDU_BYTES
    implementation = facts[ImplementationClassUIDNotification]
    assert implementation.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    version = facts[ImplementationVersionNameNotification]
    assert version.implementation_version_name == IMPLEMENTATION_VERSION_NAME
    results = primitive.presentation_context_definition_results_list
    assert len(results) == len(wanted)
    for number, (result, (abstract, syntaxes)) in enumerate(zip(results, wanted, strict=True)):
        allowed = usable(abstract, syntaxes)
        assert result.context_id == 2 * number + 1
        assert result.result == (3 if allowed is None else 0 if allowed else 4)
        if allowed:
            assert str(result.transfer_syntax[0]) == allowed[0]
            assert agreement.contexts[result.context_id].transfer_syntax == allowed[0]


def test_answer_repeats_the_titles_byte_for_byte() -> None:
    encoded = bytearray(_request("MEDAET", "SCANNER", [(CT, ["1.2.840.10008.1.2"])]))
    encoded[10:42] = b"  MEDAET        " + b"SCANNER\0\0\0\0\0\0\0\0\0"
    request = decode_request(bytes(encoded[HEADER_BYTES:]))
    assert (request.called_ae_title, request.calling_ae_title) == ("MEDAET", "SCANNER")
    assert agree(request).answer[10:42] == encoded[10:42]


@pytest.mark.parametrize(
    ("encoded", "kind", "values"),
    [
        (encode_reject(1, 1, 7), A_ASSOCIATE_RJ, ("result", "source", "reason_diagnostic")),
        (encode_abort(2, 6), A_ABORT_RQ, ("source", "reason_diagnostic")),
        (encode_release_response(), A_RELEASE_RP, ()),
    ],
    ids=["reject", "abort", "release"],
)
def test_short_pdu_is_what_pynetdicom_would_encode(
    encoded: bytes, kind: type, values: tuple[str, ...]
) -> None:
    pdu = kind()
    pdu.decode(encoded)
    assert pdu.encode() == encoded
    found = tuple(getattr(pdu, name) for name in values)
    assert found == {3: (1, 1, 7), 2: (2, 6), 0: ()}[len(values)]


@given(st.binary(max_size=300))
def test_any_bytes_give_a_request_or_a_protocol_error(body: bytes) -> None:
    with suppress(ProtocolError):
        agree(decode_request(body))


@given(st.data(), proposals)
def test_damaged_request_gives_a_request_or_a_protocol_error(
    data: st.DataObject, wanted: list[tuple[str, list[str]]]
) -> None:
    body = bytearray(_request("MEDAET", "SCANNER", wanted)[HEADER_BYTES:])
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=6)):
        body[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    for content in (bytes(body), bytes(body[:cut])):
        with suppress(ProtocolError):
            agree(decode_request(content))


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (lambda body: body.__setitem__(1, 2), (1, 2, 2)),
        (lambda body: body.__setitem__(slice(72, 93), b"1.2.840.10008.3.1.1.9"), (1, 1, 2)),
    ],
    ids=["protocol-version", "application-context"],
)
def test_requestor_that_speaks_something_else_is_refused_for_good(
    change: object, codes: tuple[int, int, int]
) -> None:
    body = bytearray(_request("MEDAET", "SCANNER", [(CT, ["1.2.840.10008.1.2"])])[HEADER_BYTES:])
    assert misunderstanding(decode_request(bytes(body))) is None
    assert callable(change)
    change(body)
    refusal = misunderstanding(decode_request(bytes(body)))
    assert refusal is not None
    assert (refusal.result, refusal.source, refusal.diagnostic) == codes


def test_context_id_that_is_even_or_used_twice_is_an_error() -> None:
    encoded = _request("A", "B", [(CT, ["1.2.840.10008.1.2"]), (MR, ["1.2.840.10008.1.2"])])
    at = [n for n, (a, b) in enumerate(pairwise(encoded)) if (a, b) == (0x20, 0) and n > 70]
    for number in (2, 1):
        body = bytearray(encoded)
        body[at[1] + 4] = number
        with pytest.raises(ProtocolError):
            decode_request(bytes(body[HEADER_BYTES:]))
