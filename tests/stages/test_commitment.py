"""Storage commitment: asked for by a stranger's SCU, reported where the site wants it, respected by retention."""

from datetime import timedelta

import pytest
from pydicom import Dataset, dcmread
from sqlalchemy import select, update
from structlog.testing import capture_logs

from medaet.config.model import Config, Peer
from medaet.errors import InstanceError
from medaet.network.commitment import decode_request
from medaet.network.spooling import SpoolSink
from medaet.store.commitments import CommitmentStore
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.studies import StudyStore
from medaet.store.tables import CommitmentRow, InstanceRow, SeriesRow, SeriesState
from medaet.testing.clock import FakeClock
from medaet_daemon.confirm import Confirm
from medaet_daemon.prune import Prune
from tests.stages.committing import asked, asking, listening, references, request, scanner
from tests.stages.receiving import CT, EXPLICIT, sample, sent

DAY = timedelta(days=1)
UID = str(dcmread(sample()).SOPInstanceUID)


@pytest.fixture
def commitments(database: Database, spool: Spool, clock: FakeClock) -> CommitmentStore:
    return CommitmentStore(database, spool, clock)


@pytest.fixture
def sink(spool: Spool, database: Database, clock: FakeClock) -> SpoolSink:
    return SpoolSink(spool, database, clock)


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
