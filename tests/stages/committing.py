"""A listener that offers storage commitment, and the scanner that asks for it and hears of it."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import StorageCommitmentPushModel

from medaet.config.model import Listener, Peer
from medaet.network.commitment import WELL_KNOWN_INSTANCE
from medaet.network.engine import Engine
from medaet.network.spooling import SpoolSink
from medaet.store.commitments import CommitmentStore
from tests.stages.receiving import EXPLICIT, SCANNER


class Reports(queue.Queue[tuple[int, Dataset]]):
    """Reports that arrived: event type and information."""

    taken = False


@contextmanager
def listening(
    commitments: CommitmentStore | None, sink: SpoolSink, mode: str = "new-association"
) -> Iterator[Peer]:
    rules = Listener(host="127.0.0.1", port=0).model_copy(update={"storage_commitment": mode})
    scp = Engine(rules, [SCANNER], sink, commitments=commitments)
    scp.start()
    try:
        yield Peer(name="medaet", ae_title="MEDAET", host="127.0.0.1", port=scp.ports[0])
    finally:
        scp.stop(drain_seconds=5)


@contextmanager
def asking(peer: Peer) -> Iterator[tuple[Association, Reports]]:
    """Open an association in which storage commitment may be asked for."""
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(StorageCommitmentPushModel, EXPLICIT)
    reports = Reports()
    answered = threading.Event()
    handlers = [
        (evt.EVT_N_EVENT_REPORT, _taken, [reports]),
        (evt.EVT_PDU_SENT, _noted, [reports, answered]),
    ]
    association = entity.associate(
        peer.host, peer.port, ae_title=peer.ae_title, evt_handlers=handlers
    )
    try:
        yield association, reports
    finally:
        if association.is_established:
            if (
                reports.taken
            ):  # pynetdicom's own machine stumbles over an answer in the middle of a release
                answered.wait(20)
            association.release()
        else:
            association.abort()


def _noted(event: evt.Event, reports: "Reports", answered: threading.Event) -> None:
    if reports.taken and isinstance(event.pdu, P_DATA_TF):
        answered.set()


def _taken(event: evt.Event, reports: Reports) -> tuple[int, None]:
    reports.taken = True
    reports.put((event.event_type, event.event_information))
    return 0x0000, None


def request(*pairs: tuple[str, str], transaction: str = "1.2.9") -> Dataset:
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = []
    for sop_class, uid in pairs:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        asked.ReferencedSOPSequence.append(item)
    return asked


def asked(association: Association, what: Dataset, action: int = 1, uid: str = "") -> int:
    status, _ = association.send_n_action(
        what, action, StorageCommitmentPushModel, uid or WELL_KNOWN_INSTANCE
    )
    return int(status.Status)


def references(dataset: Dataset, keyword: str = "ReferencedSOPSequence") -> list[str]:
    return [str(item.ReferencedSOPInstanceUID) for item in dataset.get(keyword, [])]


@contextmanager
def scanner(status: int = 0x0000) -> Iterator[tuple[Peer, Reports]]:
    """Run what listens for reports at the scanner."""
    reports = Reports()

    def taken(event: evt.Event) -> tuple[int, None]:
        assert event.assoc.requestor.ae_title == "MEDAET"
        reports.put((event.event_type, event.event_information))
        return status, None

    entity = AE("SCANNER")
    entity.add_supported_context(
        StorageCommitmentPushModel, EXPLICIT, scu_role=False, scp_role=True
    )
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, taken)]
    )
    port = int(server.server_address[1])
    try:
        yield Peer(name="scanner", ae_title="SCANNER", host="127.0.0.1", port=port), reports
    finally:
        server.shutdown()
        for association in server.active_associations:
            association.abort()
