"""N-EVENT-REPORT to a peer: what we answer for, in an association of our own (PS3.4 §J.3.3)."""

from collections.abc import Iterable, Sequence

from pynetdicom.presentation import build_context, build_role

from medaet.config.model import Peer
from medaet.errors import MedaetError, PeerRefusedError, PeerUnavailableError
from medaet.network.commitment import WELL_KNOWN_INSTANCE, event_of
from medaet.network.contexts import NATIVE, STORAGE_COMMITMENT
from medaet.network.scu import RESPONSE_SECONDS, association, named
from medaet.network.status import SUCCESS
from medaet.store.commitments import Commitment


def report(
    peer: Peer, commitments: Sequence[Commitment]
) -> Iterable[tuple[Commitment, MedaetError | None]]:
    """Report to a peer in one new association, in which we are the SCP by role selection (PS3.7 §D.3.3.4).

    Yields:
        Each commitment as soon as its fate is known, with the reason why the peer did not take the report.

    Raises:
        PeerUnavailableError: there was no association; nothing was reported, and nothing yielded.
    """
    wanted = [build_context(STORAGE_COMMITMENT, [str(syntax) for syntax in NATIVE])]
    roles = [build_role(STORAGE_COMMITMENT, scp_role=True)]
    with association(
        peer,
        commitments[0].called_ae_title,
        wanted,
        response_seconds=RESPONSE_SECONDS,
        roles=roles,
    ) as open_:
        for number, one in enumerate(commitments):
            if not open_.accepted_contexts:
                yield one, PeerRefusedError(f"{named(peer)} takes no storage commitment reports")
                continue
            if not open_.is_established:
                yield one, PeerUnavailableError(f"the association with {named(peer)} ended")
                continue
            event_type, event = event_of(one)
            answer, _ = open_.send_n_event_report(
                event, event_type, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE, msg_id=number + 1
            )
            yield one, _error(peer, getattr(answer, "Status", None))


def _error(peer: Peer, status: int | None) -> MedaetError | None:
    if status is None:
        return PeerUnavailableError(f"{named(peer)} did not answer the report")
    if status != SUCCESS:
        return PeerRefusedError(f"{named(peer)} refused the report with status {status:04X}")
    return None
