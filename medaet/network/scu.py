"""C-ECHO and C-STORE to a peer: every status, rejection and abort becomes an error of ours."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import dcmread, read_file_meta_info
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from medaet.config.model import Peer
from medaet.errors import InstanceError, MedaetError, PeerRefusedError, PeerUnavailableError
from medaet.network import contexts, presentation
from medaet.network.status import error_of
from medaet.network.toolkit import application_entity

RESPONSE_SECONDS = 60.0
"""How long a peer may take to answer, once it has everything."""

RELEASE_SECONDS = 5.0
"""How long a peer may take to agree that it is over; everything has been answered by then."""

SLOWEST_BYTES_PER_SECOND = 100_000
"""The slowest line that a large instance is given time for."""

LAST_MESSAGE_ID = 65_535


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What became of one file.

    Attributes:
        sop_instance_uid: Empty when the file could not be read.
        status: Of the C-STORE response; None when there was none.
        error: Why the peer does not have the instance; None when it has.
        comment: The peer's Error Comment. It may name the patient: for a person at a terminal, never for logs.
    """

    path: Path
    sop_instance_uid: str
    status: int | None = None
    error: MedaetError | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class _Instance:
    """A file to send, as its file meta information describes it."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def echo(peer: Peer, calling_ae_title: str) -> None:
    """Verify that a peer answers (PS3.4 Annex A).

    Raises:
        PeerUnavailableError: no connection, no association, or no answer.
        PeerRefusedError: it takes associations from us, but no C-ECHO.
    """
    wanted = presentation.proposed([(contexts.VERIFICATION, str(contexts.NATIVE[1]))])
    with association(peer, calling_ae_title, wanted, response_seconds=RESPONSE_SECONDS) as open_:
        if not open_.accepted_contexts:
            raise PeerRefusedError(f"{named(peer)} does not accept C-ECHO; ask its administrator")
        status = getattr(open_.send_c_echo(), "Status", None)
    if status is None:
        raise PeerUnavailableError(f"{named(peer)} did not answer the C-ECHO")
    error = error_of(status, named(peer))
    if error is not None:
        raise error


def send(peer: Peer, calling_ae_title: str, paths: Sequence[Path]) -> Iterator[SendOutcome]:
    """Send files in one association, as they are (PS3.4 Annex B).

    An instance goes out in its own transfer syntax; if the peer takes only the other of the two native ones, it is
    re-encoded to that.

    Args:
        peer: Who gets them.
        calling_ae_title: Ours.
        paths: Files (PS3.10 §7).

    Yields:
        One outcome for each path, in order, as soon as it is known.

    Raises:
        PeerUnavailableError: there was no association; nothing was sent, and nothing yielded.
    """
    found = [_read(path) for path in paths]
    instances = [one for one in found if isinstance(one, _Instance)]
    if not instances:
        yield from (one for one in found if isinstance(one, SendOutcome))
        return
    wanted = presentation.proposed(
        (one.sop_class_uid, one.transfer_syntax_uid) for one in instances
    )
    largest = max(one.path.stat().st_size for one in instances)
    seconds = RESPONSE_SECONDS + largest / SLOWEST_BYTES_PER_SECOND
    with association(peer, calling_ae_title, wanted, response_seconds=seconds) as open_:
        for number, one in enumerate(found):
            if isinstance(one, SendOutcome):
                outcome = one
            else:
                outcome = _send(peer, open_, one, message_id=number % LAST_MESSAGE_ID + 1)
            if isinstance(outcome.error, PeerUnavailableError) and open_.is_established:
                open_.abort()  # pynetdicom may notice late, and the next instance would wait in vain
            yield outcome


@contextmanager
def association(
    peer: Peer,
    calling_ae_title: str,
    wanted: Sequence[PresentationContext],
    *,
    response_seconds: float,
) -> Iterator[Association]:
    """Open an association, and release it at the end of the block."""
    entity = application_entity(calling_ae_title, dimse_seconds=response_seconds)
    connected = Event()
    try:
        association = entity.associate(
            peer.host,
            peer.port,
            contexts=list(wanted),
            ae_title=peer.ae_title,
            evt_handlers=[(evt.EVT_CONN_OPEN, lambda _: connected.set())],
        )
    except OSError as error:
        raise PeerUnavailableError(
            f"{named(peer)} cannot be reached: {error.strerror}; check peers.host"
        ) from error
    if not association.is_established and not association.rejected_contexts:
        raise PeerUnavailableError(_why_not(peer, association, is_connected=connected.is_set()))
    try:
        yield association
    finally:
        if association.is_established and association.dul.is_alive():
            association.acse_timeout = RELEASE_SECONDS
            association.release()


def _why_not(peer: Peer, association: Association, *, is_connected: bool) -> str:
    if not is_connected:
        return (
            f"{named(peer)} cannot be reached; check that it runs, peers.host and peers.port, "
            "and the firewall between"
        )
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return (
            f"{named(peer)} rejected the association: {answer.result_str}, {answer.reason_str}; "
            "it must know our AE title and host, and peers.ae_title must be its own"
        )
    return f"{named(peer)} aborted the association or did not answer; look at its log"


def _read(path: Path) -> _Instance | SendOutcome:
    """Read what must be known to send a file; the outcome at once if it cannot be sent."""
    try:
        meta = read_file_meta_info(path)
        return _Instance(
            path=path,
            sop_class_uid=str(meta.MediaStorageSOPClassUID),
            sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
            transfer_syntax_uid=str(meta.TransferSyntaxUID),
        )
    except (OSError, InvalidDicomError, AttributeError, EOFError) as error:
        return SendOutcome(
            path,
            sop_instance_uid="",
            error=InstanceError(f"{path.name} is no DICOM file: {type(error).__name__}"),
        )


def _send(
    peer: Peer, association: Association, instance: _Instance, *, message_id: int
) -> SendOutcome:
    outcome = SendOutcome(instance.path, instance.sop_instance_uid)
    content = _content(association, instance)
    if content is None:
        return _failed(outcome, _not_accepted(peer, instance))
    if not association.is_established:
        lost = PeerUnavailableError(
            f"the association with {named(peer)} ended before this instance"
        )
        return _failed(outcome, lost)
    response = association.send_c_store(content, msg_id=message_id)
    if "Status" not in response:
        lost = PeerUnavailableError(f"{named(peer)} did not answer; the association is over")
        return _failed(outcome, lost)
    return SendOutcome(
        instance.path,
        instance.sop_instance_uid,
        status=int(response.Status),
        error=error_of(int(response.Status), named(peer)),
        comment=str(response.get("ErrorComment", "")),
    )


def _failed(outcome: SendOutcome, error: MedaetError) -> SendOutcome:
    return SendOutcome(outcome.path, outcome.sop_instance_uid, error=error)


def _content(association: Association, instance: _Instance) -> Path | Dataset | None:
    """Choose between the file as it is and the data set for re-encoding; None when neither is accepted."""
    accepted = {
        str(context.transfer_syntax[0])
        for context in association.accepted_contexts
        if context.abstract_syntax == instance.sop_class_uid
    }
    if instance.transfer_syntax_uid in accepted:
        return instance.path
    if instance.transfer_syntax_uid in contexts.NATIVE and accepted.intersection(contexts.NATIVE):
        return dcmread(instance.path)
    return None


def _not_accepted(peer: Peer, instance: _Instance) -> PeerRefusedError:
    return PeerRefusedError(
        f"{named(peer)} does not accept SOP class {instance.sop_class_uid} in transfer syntax "
        f"{instance.transfer_syntax_uid}; enable it there, or send to another peer"
    )


def named(peer: Peer) -> str:
    """Name a peer for people."""
    return f"peer {peer.name} ({peer.ae_title} at {peer.host}:{peer.port})"
