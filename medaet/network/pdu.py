"""Protocol data units of the upper layer (PS3.8 §9.3): association control, to and from bytes."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA_TF, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

HEADER = struct.Struct(">BxL")
"""Type and length of a PDU; the length counts what follows these six bytes."""

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
"""The DICOM application context, the only one there is (PS3.7 Annex A)."""

_ITEM = struct.Struct(">BxH")
_FIXED_BYTES = 68
"""Protocol version, AE titles and reserved fields, before the first item (PS3.8 Table 9-11)."""

_CONTEXT_ITEM, _CONTEXT_ANSWER_ITEM, _ABSTRACT_ITEM, _SYNTAX_ITEM = 0x20, 0x21, 0x30, 0x40
_APPLICATION_ITEM, _USER_ITEM, _MAXIMUM_ITEM, _CLASS_ITEM, _VERSION_ITEM = (
    *(0x10, 0x50, 0x51),
    *(0x52, 0x55),
)

NOT_SPECIFIED, UNRECOGNISED_PDU, UNEXPECTED_PDU = 0, 1, 2
UNRECOGNISED_PARAMETER, UNEXPECTED_PARAMETER, INVALID_PARAMETER = 4, 5, 6
"""Reasons of an A-ABORT by the service provider (PS3.8 Table 9-26)."""

SERVICE_USER, SERVICE_PROVIDER = 0, 2
"""Sources of an A-ABORT."""


class ProtocolError(Exception):
    """The peer said something that the upper layer does not allow; the association is to be aborted.

    Attributes:
        reason: Of the A-ABORT.
    """

    def __init__(self, what: str, reason: int = INVALID_PARAMETER) -> None:
        super().__init__(what)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """One presentation context of a request (PS3.8 §9.3.2.2)."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextAnswer:
    """What becomes of a proposed context (PS3.8 §9.3.3.2).

    Attributes:
        result: 0 accepted, 3 abstract syntax not supported, 4 transfer syntaxes not supported.
        transfer_syntax: The one chosen; without meaning unless the result is 0.
    """

    context_id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """An A-ASSOCIATE-RQ.

    Attributes:
        is_version_1: Whether the requestor speaks protocol version 1, the only one there is.
        titles: Called and calling AE title as they were sent; the answer repeats them.
        maximum_length: Of the PDUs the requestor takes; 0 for any length.
    """

    is_version_1: bool
    titles: bytes
    application_context: str
    contexts: tuple[ProposedContext, ...]
    maximum_length: int

    @property
    def called_ae_title(self) -> str:
        """The AE title that the requestor asks for."""
        return _text(self.titles[:16])

    @property
    def calling_ae_title(self) -> str:
        """The requestor's AE title."""
        return _text(self.titles[16:])


def decode_request(body: bytes) -> AssociationRequest:
    """Take apart an A-ASSOCIATE-RQ.

    Items that are not known are passed over, as the standard asks of every later version's readers.

    Args:
        body: What follows the PDU's header.

    Raises:
        ProtocolError: an item is longer than what holds it, or a presentation context cannot be told apart.

    Source:
        PS3.8 §9.3.2, PS3.7 §D.3.3.
    """
    if len(body) < _FIXED_BYTES:
        raise ProtocolError("the association request is cut short")
    application_context, maximum_length = "", 0
    contexts: dict[int, ProposedContext] = {}
    for kind, content in _items(body, _FIXED_BYTES):
        if kind == _APPLICATION_ITEM:
            application_context = _text(content)
        elif kind == _CONTEXT_ITEM:
            context = _proposed(content)
            if contexts.setdefault(context.context_id, context) is not context:
                raise ProtocolError("a presentation context ID is used twice")
        elif kind == _USER_ITEM:
            maximum_length = _maximum_length(content)
    return AssociationRequest(
        is_version_1=bool(body[1] & 1),
        titles=body[4:36],
        application_context=application_context,
        contexts=tuple(contexts.values()),
        maximum_length=maximum_length,
    )


def encode_accept(
    request: AssociationRequest,
    answers: list[ContextAnswer],
    *,
    maximum_length: int,
    implementation: tuple[str, str],
) -> bytes:
    """Encode an A-ASSOCIATE-AC (PS3.8 §9.3.3).

    Args:
        request: What is answered.
        answers: One for each proposed context.
        maximum_length: Of the PDUs that we take.
        implementation: Our Implementation Class UID and Implementation Version Name.
    """
    class_uid, version_name = implementation
    user = b"".join(
        (
            _item(_MAXIMUM_ITEM, struct.pack(">L", maximum_length)),
            _item(_CLASS_ITEM, class_uid.encode("ascii")),
            _item(_VERSION_ITEM, version_name.encode("ascii")),
        )
    )
    contexts = [_answered(one.context_id, one.result, one.transfer_syntax) for one in answers]
    body = b"".join(
        (
            b"\x00\x01\x00\x00",
            request.titles,
            bytes(32),
            _item(_APPLICATION_ITEM, APPLICATION_CONTEXT.encode("ascii")),
            *contexts,
            _item(_USER_ITEM, user),
        )
    )
    return HEADER.pack(ASSOCIATE_AC, len(body)) + body


def encode_reject(result: int, source: int, diagnostic: int) -> bytes:
    """Encode an A-ASSOCIATE-RJ (PS3.8 §9.3.4)."""
    return HEADER.pack(ASSOCIATE_RJ, 4) + bytes((0, result, source, diagnostic))


def encode_release_response() -> bytes:
    """Encode an A-RELEASE-RP (PS3.8 §9.3.7)."""
    return HEADER.pack(RELEASE_RP, 4) + bytes(4)


def encode_abort(source: int, reason: int) -> bytes:
    """Encode an A-ABORT (PS3.8 §9.3.8)."""
    return HEADER.pack(ABORT, 4) + bytes((0, 0, source, reason))


def _answered(context_id: int, result: int, transfer_syntax: str) -> bytes:
    syntax = _item(_SYNTAX_ITEM, transfer_syntax.encode("ascii", "replace"))
    return _item(_CONTEXT_ANSWER_ITEM, bytes((context_id, 0, result, 0)) + syntax)


def _proposed(content: bytes) -> ProposedContext:
    if len(content) < 4 or not content[0] & 1:
        raise ProtocolError("a presentation context has no odd ID")
    abstract_syntax, transfer_syntaxes = "", []
    for kind, value in _items(content, 4):
        if kind == _ABSTRACT_ITEM:
            abstract_syntax = _text(value)
        elif kind == _SYNTAX_ITEM:
            transfer_syntaxes.append(_text(value))
    return ProposedContext(content[0], abstract_syntax, tuple(transfer_syntaxes))


def _maximum_length(content: bytes) -> int:
    """Find the Maximum Length sub-item of the user information (PS3.8 §D.1); 0 when there is none."""
    for kind, value in _items(content, 0):
        if kind == _MAXIMUM_ITEM and len(value) == 4:
            return int.from_bytes(value, "big")
    return 0


def _items(content: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each item."""
    while at < len(content):
        if at + _ITEM.size > len(content):
            raise ProtocolError("an item of the association request is cut short")
        kind, length = _ITEM.unpack_from(content, at)
        at += _ITEM.size
        if at + length > len(content):
            raise ProtocolError("an item of the association request is longer than what holds it")
        yield kind, content[at : at + length]
        at += length


def _item(kind: int, content: bytes) -> bytes:
    return _ITEM.pack(kind, len(content)) + content


def _text(raw: bytes) -> str:
    """Decode an AE title or a UID; blanks and, from some senders, a NUL pad it."""
    return raw.decode("ascii", "replace").strip(" \0")
