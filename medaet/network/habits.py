"""What peers ask for again and again: an association request that came before is not taken apart once more."""

from functools import lru_cache

from medaet.network.negotiation import Agreement, agree
from medaet.network.pdu import AssociationRequest, decode_request

REMEMBERED = 64
LONGEST_REMEMBERED_BYTES = 32 * 1024
"""Longer requests are nobody's habit: 128 presentation contexts take less."""


def understood(body: bytes, *, commitment: bool) -> tuple[AssociationRequest, Agreement]:
    """Take apart an A-ASSOCIATE-RQ, and work out the answer to it, for a peer that is let in.

    Args:
        body: What follows the PDU's header.
        commitment: Whether the Storage Commitment Push Model is offered.

    Returns:
        Both may be shared with other associations.

    Raises:
        ProtocolError: it breaks the rules of the upper layer.
    """
    read = _remembered if len(body) <= LONGEST_REMEMBERED_BYTES else _understood
    return read(body, commitment)


def _understood(body: bytes, commitment: bool) -> tuple[AssociationRequest, Agreement]:
    request = decode_request(body)
    return request, agree(request, commitment=commitment)


_remembered = lru_cache(maxsize=REMEMBERED)(_understood)
