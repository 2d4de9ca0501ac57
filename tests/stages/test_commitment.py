"""Storage commitment: asked for by a stranger's SCU, reported where the site wants it, respected by retention."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import StorageCommitmentPushModel
from sqlalchemy import select, update
from structlog.testing import capture_logs

from medaet.config.model import Config, Listener, Peer
from medaet.errors import InstanceError
from medaet.network.commitment import WELL_KNOWN_INSTANCE, decode_request
from medaet.network.engine import Engine
from medaet.network.spooling import SpoolSink
from medaet.store.commitments import CommitmentStore
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.studies import StudyStore
from medaet.store.tables import CommitmentRow, InstanceRow, SeriesRow, SeriesState
from medaet.testing.clock import FakeClock
from medaet_daemon.confirm import Confirm
from medaet_daemon.prune import Prune
from tests.stages.receiving import CT, EXPLICIT, SCANNER, sample, sent

DAY = timedelta(days=1)
UID = str(dcmread(sample()).SOPInstanceUID)


class Reports(queue.Queue[tuple[int, Dataset]]):
    """Reports that arrived: event type and information."""

    taken = False


@pytest.fixture
def commitments(database: Database, spool: Spool, clock: FakeClock) -> CommitmentStore:
    return CommitmentStore(database, spool, clock)


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


@pytest.fixture
def sink(spool: Spool, database: Database, clock: FakeClock) -> SpoolSink:
    return SpoolSink(spool, database, clock)


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


def test_listener_offers_it_only_where_it_is_turned_on(sink: SpoolSink) -> None:
    with listening(None, sink) as peer, asking(peer) as (association, _):
        assert not association.is_established or not association.accepted_contexts


def test_what_is_kept_is_committed_in_the_same_association(
    commitments: CommitmentStore, sink: SpoolSink, database: Database
) -> None:
    with listening(commitments, sink, "same-association") as peer:
        assert [one.status for one in sent(peer, sample())] == [0]
        with asking(peer) as (association, reports):
            assert asked(association, request((CT, UID))) == 0x0000
            event, report = reports.get(timeout=60)
    assert (event, report.TransactionUID, references(report)) == (1, "1.2.9", [UID])
    assert "FailedSOPSequence" not in report
    with database.read() as session:
        row = session.scalars(select(CommitmentRow)).one()
        assert (row.due_at, row.reported_at is None) == (None, False)
        assert session.scalars(select(InstanceRow.committed_at)).one() is not None


def test_what_is_not_kept_as_asked_for_fails_with_its_reason(
    commitments: CommitmentStore, sink: SpoolSink
) -> None:
    with listening(commitments, sink, "same-association") as peer:
        sent(peer, sample())
        with asking(peer) as (association, reports):
            wrong = request((CT, "1.2.3.4"), ("1.2.840.10008.5.1.4.1.1.4", UID))
            assert asked(association, wrong) == 0x0000
            event, report = reports.get(timeout=60)
    assert event == 2
    assert "ReferencedSOPSequence" not in report
    reasons = [int(item.FailureReason) for item in report.FailedSOPSequence]
    assert (references(report, "FailedSOPSequence"), reasons) == (["1.2.3.4", UID], [0x112, 0x119])


def test_file_that_is_gone_is_not_answered_for(
    commitments: CommitmentStore, sink: SpoolSink, spool: Spool, database: Database
) -> None:
    with listening(commitments, sink, "same-association") as peer:
        sent(peer, sample())
        (path,) = spool.root.glob("instances/*/*")
        path.unlink()
        with asking(peer) as (association, reports):
            asked(association, request((CT, UID)))
            event, report = reports.get(timeout=60)
    assert (event, int(report.FailedSOPSequence[0].FailureReason)) == (2, 0x110)
    with database.read() as session:
        assert session.scalars(select(InstanceRow.committed_at)).one() is None


@pytest.mark.parametrize(
    ("what", "action", "uid", "status"),
    [
        (request((CT, UID)), 2, "", 0x0123),
        (request((CT, UID)), 1, "1.2.3", 0x0112),
        (request(), 1, "", 0x0115),
        (request((CT, "")), 1, "", 0x0115),
        (request((CT, UID), transaction=""), 1, "", 0x0115),
    ],
    ids=["action", "instance", "nothing", "no UID", "no transaction"],
)
def test_request_that_makes_no_sense_is_refused(
    commitments: CommitmentStore,
    sink: SpoolSink,
    what: Dataset,
    action: int,
    uid: str,
    status: int,
) -> None:
    with listening(commitments, sink) as peer, asking(peer) as (association, _):
        assert asked(association, what, action, uid) == status
        assert asked(association, request((CT, UID))) == 0x0000  # and the association lives on
    assert len(commitments.claim()) <= 1


def test_request_that_is_too_long_is_refused(
    commitments: CommitmentStore, sink: SpoolSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medaet.network.promises.LONGEST_REQUEST_BYTES", 1000)
    with listening(commitments, sink) as peer, asking(peer) as (association, _):
        assert asked(association, request(*[(CT, UID)] * 20)) == 0x0213


def test_report_comes_in_an_association_of_its_own(
    commitments: CommitmentStore, sink: SpoolSink, clock: FakeClock
) -> None:
    with listening(commitments, sink) as peer:
        sent(peer, sample())
        with asking(peer) as (association, reports):
            assert asked(association, request((CT, UID), (CT, "1.2.3.4"))) == 0x0000
        assert reports.empty()
    with scanner() as (known, taken):
        confirm = Confirm(commitments, Config(peers=(known,)))
        confirm.step()
        assert taken.empty()
        clock.advance(timedelta(seconds=3))
        with capture_logs() as logs:
            confirm.step()
        event, report = taken.get(timeout=60)
        clock.advance(DAY)
        confirm.step()
        assert taken.empty()
    assert (event, references(report)) == (2, [UID])
    assert [one["event"] for one in logs] == ["commitment.reported"]


def test_report_is_tried_again_until_the_peer_is_there(
    commitments: CommitmentStore, sink: SpoolSink, clock: FakeClock, free_port: int
) -> None:
    with listening(commitments, sink) as peer, asking(peer) as (association, _):
        asked(association, request((CT, UID)))
    gone = Peer(name="scanner", ae_title="SCANNER", host="127.0.0.1", port=free_port)
    clock.advance(timedelta(seconds=3))
    Confirm(commitments, Config(peers=(gone,))).step()
    clock.advance(timedelta(minutes=1))
    with scanner() as (known, taken):
        Confirm(commitments, Config(peers=(known,))).step()
        assert taken.get(timeout=60)[0] == 2


@pytest.mark.parametrize("is_known", [True, False], ids=["refuses", "is unknown"])
def test_peer_that_cannot_be_told_is_given_up_with_the_reason(
    commitments: CommitmentStore,
    sink: SpoolSink,
    clock: FakeClock,
    database: Database,
    *,
    is_known: bool,
) -> None:
    with listening(commitments, sink) as peer, asking(peer) as (association, _):
        asked(association, request((CT, UID)))
    clock.advance(timedelta(seconds=3))
    with scanner(0x0110) as (known, _):
        Confirm(commitments, Config(peers=(known,) if is_known else ())).step()
    with database.read() as session:
        row = session.scalars(select(CommitmentRow)).one()
    assert (row.due_at, row.reported_at) == (None, None)
    assert ("0110" if is_known else "[[peers]]") in str(row.last_error)


def test_same_transaction_again_is_answered_anew(
    commitments: CommitmentStore, sink: SpoolSink, clock: FakeClock
) -> None:
    with listening(commitments, sink) as peer:
        with asking(peer) as (association, _):
            asked(association, request((CT, UID)))
        sent(peer, sample())
        with asking(peer) as (association, _):
            asked(association, request((CT, UID)))
    clock.advance(timedelta(seconds=3))
    (one,) = commitments.claim()
    assert [reference.sop_instance_uid for reference in one.committed] == [UID]


@pytest.mark.parametrize(
    ("limit", "days", "is_kept"), [(None, 4000, True), (30, 29, True), (30, 31, False)]
)
def test_retention_leaves_alone_what_was_answered_for(
    commitments: CommitmentStore,
    sink: SpoolSink,
    spool: Spool,
    database: Database,
    clock: FakeClock,
    *,
    limit: int | None,
    days: int,
    is_kept: bool,
) -> None:
    with listening(commitments, sink) as peer:
        sent(peer, sample())
        with asking(peer) as (association, _):
            asked(association, request((CT, UID)))
    with database.write() as session:
        session.execute(update(SeriesRow).values(state=SeriesState.DISPATCHED))
    clock.advance(days * DAY)
    keep_committed = None if limit is None else limit * DAY
    Prune(database, spool, 7 * DAY, clock, keep_committed=keep_committed).step()
    assert bool(StudyStore(database, clock).list()) == is_kept


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("content", [b"", b"\x08\x00\x95\x11UI", bytes(40), b"\xff" * 999])
@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2"])
def test_action_information_that_is_no_data_set_is_an_error_of_ours(
    content: bytes, syntax: str
) -> None:
    with pytest.raises(InstanceError):
        decode_request(content, syntax)
