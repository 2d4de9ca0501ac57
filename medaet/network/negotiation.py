"""The answer to an association request: its presentation contexts, each accepted or not and why (PS3.8 §9.3.3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from medaet.dicom.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from medaet.network.admission import Refusal
from medaet.network.contexts import NATIVE, usable
from medaet.network.pdu import (
    APPLICATION_CONTEXT,
    AssociationRequest,
    ContextAnswer,
    ProposedContext,
    encode_accept,
)

MAXIMUM_PDU_BYTES = 131_072
"""What we announce (PS3.8 §D.1): eight times the usual 16 KB, and as much as dcmtk can send."""

ACCEPTED, ABSTRACT_SYNTAX_REFUSED, TRANSFER_SYNTAXES_REFUSED = 0, 3, 4


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed with a requestor.

    Attributes:
        contexts: The accepted ones, by their ID.
        refused: SOP classes that were not accepted in any transfer syntax.
        answer: The encoded A-ASSOCIATE-AC.
        maximum_length: Of the PDUs the requestor takes; 0 for any length.
    """

    contexts: Mapping[int, Context]
    refused: tuple[str, ...]
    answer: bytes
    maximum_length: int


def misunderstanding(request: AssociationRequest) -> Refusal | None:
    """Say why a request is rejected whoever makes it, if it is (PS3.8 §9.3.4)."""
    remedy = "look at the peer: it does not speak DICOM as it is today"
    if not request.is_version_1:
        return Refusal(1, 2, 2, "protocol version not supported", remedy)
    if request.application_context != APPLICATION_CONTEXT:
        return Refusal(1, 1, 2, "application context name not supported", remedy)
    return None


def agree(request: AssociationRequest, *, commitment: bool = False) -> Agreement:
    """Accept of a request what is proposed and supported; the cost follows the proposals, not what we support.

    Args:
        request: From a peer that is let in.
        commitment: Whether the Storage Commitment Push Model is offered.
    """
    accepted: dict[int, Context] = {}
    answers = []
    for proposed in request.contexts:
        result, syntax = _chosen(proposed, commitment=commitment)
        answers.append(ContextAnswer(proposed.context_id, result, syntax))
        if result == ACCEPTED:
            accepted[proposed.context_id] = Context(
                proposed.context_id, proposed.abstract_syntax, syntax
            )
    taken = {context.abstract_syntax for context in accepted.values()}
    return Agreement(
        contexts=accepted,
        refused=tuple(sorted({one.abstract_syntax for one in request.contexts} - taken)),
        answer=encode_accept(
            request,
            answers,
            maximum_length=MAXIMUM_PDU_BYTES,
            implementation=(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME),
        ),
        maximum_length=request.maximum_length,
    )


def _chosen(proposed: ProposedContext, *, commitment: bool) -> tuple[int, str]:
    """Return the result for a presentation context, and its transfer syntax."""
    syntaxes = usable(proposed.abstract_syntax, proposed.transfer_syntaxes, commitment=commitment)
    if syntaxes:
        return ACCEPTED, syntaxes[0]
    result = ABSTRACT_SYNTAX_REFUSED if syntaxes is None else TRANSFER_SYNTAXES_REFUSED
    return result, NATIVE[1]
