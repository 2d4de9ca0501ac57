"""Presentation contexts for pynetdicom (PS3.8 §7.1.1.13): what its SCP supports and our SCU proposes."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from pynetdicom.presentation import PresentationContext, build_context

from medaet.network.contexts import NATIVE, usable

MAXIMUM_CONTEXTS = 128
"""Presentation context IDs are the odd numbers from 1 to 255 (PS3.8 §9.3.2.2)."""


class RequestedContext(Protocol):
    """One proposal of an association request."""

    abstract_syntax: str
    transfer_syntax: Sequence[str]


def supported(requested: Iterable[RequestedContext]) -> list[PresentationContext]:
    """Choose what to support in one association, from what its requestor proposes.

    Args:
        requested: The proposals of the A-ASSOCIATE-RQ.

    Returns:
        One context for each accepted abstract syntax, with the transfer syntaxes that may be chosen for it.
    """
    wanted: dict[str, dict[str, None]] = {}
    for context in requested:
        abstract_syntax = str(context.abstract_syntax)
        syntaxes = usable(abstract_syntax, map(str, context.transfer_syntax))
        wanted.setdefault(abstract_syntax, {}).update(dict.fromkeys(syntaxes or ()))
    return [build_context(name, list(syntaxes)) for name, syntaxes in wanted.items() if syntaxes]


def proposed(kinds: Iterable[tuple[str, str]]) -> list[PresentationContext]:
    """List the contexts to propose for sending instances.

    Uncompressed instances get a context for each native transfer syntax, so that the peer's acceptance of one
    says which; a compressed instance can only go as it is.

    Args:
        kinds: SOP Class UID and Transfer Syntax UID of each instance.

    Returns:
        At most 128 contexts, each with one transfer syntax.
    """
    pairs: dict[tuple[str, str], None] = {}
    for sop_class_uid, transfer_syntax_uid in kinds:
        pairs[sop_class_uid, transfer_syntax_uid] = None
        if transfer_syntax_uid in NATIVE:
            pairs.update(dict.fromkeys((sop_class_uid, str(syntax)) for syntax in NATIVE))
    return [build_context(*pair) for pair in list(pairs)[:MAXIMUM_CONTEXTS]]
