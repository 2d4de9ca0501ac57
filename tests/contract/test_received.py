"""The index of what is received, the same tests on SQLite and on PostgreSQL."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from medaet.dicom.intake import Intake
from medaet.store.arrivals import Arrivals
from medaet.store.associations import AssociationStore, Ending, Sender
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.instances import Arrived, InstanceStore, Recorded
from medaet.store.received import ReceivedIndex
from medaet.store.studies import StudyStore
from medaet.store.tables import AssociationOutcome, InstanceRow, SeriesRow, SeriesState
from medaet.testing.clock import FakeClock
from medaet.testing.rows import header, intake

SECOND = timedelta(seconds=1)


@pytest.fixture
def arrivals(tmp_path: Path) -> Arrivals:
    return Arrivals(Spool(tmp_path / "spool", durable=False))


@pytest.fixture
def index(database: Database, instances: InstanceStore, clock: FakeClock) -> ReceivedIndex:
    return ReceivedIndex(database, instances, clock)


Receive = Callable[..., Arrived]


@pytest.fixture
def received(arrivals: Arrivals) -> Receive:
    senders: dict[str, Sender] = {}

    def receive(
        number: int = 1, *, series: int = 1, study: int = 1, sender: str = "CT1"
    ) -> Arrived:
        arrival = arrivals.open()
        arrival.write([b"%d" % number])
        stored = arrival.settle()
        arrival.close()
        taken = intake(header(number, series=series, study=study))
        sent_by = senders.setdefault(sender, Sender(sender, "MEDAET", "10.0.0.7"))
        return Arrived(_placed(taken), stored, sent_by, "host/0")

    return receive


def _placed(taken: Intake) -> Intake:
    return replace(taken, attributes={"Rows": 512}, pixel_offset=6000, pixel_length=524_288)


def _rows(database: Database) -> list[InstanceRow]:
    with database.read() as session:
        return list(session.scalars(select(InstanceRow).order_by(InstanceRow.id)))


def test_instances_of_a_series_are_recorded_one_after_another(
    index: ReceivedIndex, received: Receive, database: Database, clock: FakeClock
) -> None:
    first = index.add(received(1))
    clock.advance(SECOND)
    second = index.add(received(2, sender="CT2"))
    assert first == second == Recorded(1, 1, is_new=True, conflict=False, reopened=False)
    rows = _rows(database)
    assert [row.sop_instance_uid for row in rows] == ["1.2.1.1.1", "1.2.1.1.2"]
    for row in rows:
        assert row.attributes == {"Rows": 512}
        assert (row.pixel_offset, row.pixel_length) == (6000, 524_288)
        assert (row.generation, row.sha256, row.replaced_at) == (1, None, None)
    assert [row.received_at for row in rows] == [clock.now() - SECOND, clock.now()]
    with database.read() as session:
        series = session.scalars(select(SeriesRow)).one()
    assert (series.calling_ae_title, series.last_received_at) == ("CT2", clock.now())


def test_known_uid_is_reported_and_changes_nothing(
    index: ReceivedIndex, received: Receive, database: Database
) -> None:
    index.add(received(1))
    index.add(received(2))
    assert index.add(received(1)) is None
    assert index.add(received(2)) is None
    assert len(_rows(database)) == 2


def test_instance_that_comes_after_its_series_closed_reopens_it(
    index: ReceivedIndex, received: Receive, studies: StudyStore, database: Database
) -> None:
    index.add(received(1))
    index.add(received(2))
    assert studies.close(1, 1, "quiet")
    recorded = index.add(received(3))
    assert recorded is not None
    assert recorded.reopened
    assert [row.generation for row in _rows(database)] == [1, 1, 2]
    assert index.add(received(4)) is not None
    with database.read() as session:
        series = session.scalars(select(SeriesRow)).one()
    assert (series.state, series.generation) == (SeriesState.OPEN, 2)


def test_series_that_was_forgotten_is_opened_again(
    index: ReceivedIndex, received: Receive, studies: StudyStore, database: Database
) -> None:
    index.add(received(1))
    index.add(received(2))
    studies.forget("1.2.1")
    recorded = index.add(received(3))
    assert recorded is not None
    assert [row.sop_instance_uid for row in _rows(database)] == ["1.2.1.1.3"]


def test_concurrent_associations_lose_nothing_and_double_nothing(
    index: ReceivedIndex, received: Receive, database: Database
) -> None:
    """Eight senders, two of them of the same instances, into three series of two studies."""
    found: list[Recorded | None] = []

    def send(number: int) -> None:
        for one in range(12):
            uid = (number % 7) * 100 + one
            found.append(index.add(received(uid, series=uid % 3, study=1 + uid % 2)))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len([one for one in found if one is not None]) == 84
    assert len([one for one in found if one is None]) == 12
    uids = [row.sop_instance_uid for row in _rows(database)]
    assert len(set(uids)) == len(uids) == 84


def test_association_is_recorded_with_what_it_brought_and_how_it_ended(
    index: ReceivedIndex, received: Receive, database: Database, clock: FakeClock
) -> None:
    one, two, other = received(1), received(2), received(3, sender="CT2")
    for each in (one, two, other):
        index.add(each)
        clock.advance(SECOND)
    associations = AssociationStore(database, clock)
    assert [(share.instances, share.outcome) for share in associations.of_series(1)] == [
        (2, None),
        (1, None),
    ]
    index.end(one.sender, Ending(AssociationOutcome.RELEASED, 2, 1, 1000))
    index.end(Sender("NOBODY", "MEDAET"), Ending(AssociationOutcome.ABORTED, 0, 0, 0))
    assert [share.outcome for share in associations.of_series(1)] == [
        AssociationOutcome.RELEASED,
        None,
    ]
    first, second = associations.traffic(60 * SECOND)
    assert (first.calling_ae_title, first.address) == ("CT1", "10.0.0.7")
    assert (first.associations, first.stored, first.refused, first.size_bytes) == (1, 2, 1, 1000)
    assert (first.unfinished, first.seconds) == (0, 3.0)
    assert (second.calling_ae_title, second.unfinished) == ("CT2", 1)


def test_associations_of_a_receiver_that_died_are_lost(
    index: ReceivedIndex, received: Receive, database: Database, clock: FakeClock
) -> None:
    index.add(received(1))
    associations = AssociationStore(database, clock)
    assert associations.lose("elsewhere/0") == 0
    assert associations.lose("host/0") == 1
    assert associations.lose("host/0") == 0
    assert [share.outcome for share in associations.of_series(1)] == [AssociationOutcome.LOST]
    associations.forget(clock.now() + SECOND)
    assert [share.is_known for share in associations.of_series(1)] == [False]


def test_failed_transaction_leaves_the_index_usable(
    index: ReceivedIndex, received: Receive, database: Database
) -> None:
    index.add(received(1))
    with database.write() as session:
        session.execute(text("ALTER TABLE instance RENAME TO elsewhere"))
    with pytest.raises(Exception):  # noqa: B017, PT011 -- whatever the driver says
        index.add(received(2))
    with database.write() as session:
        session.execute(text("ALTER TABLE elsewhere RENAME TO instance"))
    assert index.add(received(3)) is not None


@pytest.mark.postgres
def test_connection_that_breaks_is_made_anew(
    postgres_url: str, clock: FakeClock, received: Receive
) -> None:
    with contextlib.closing(Database(postgres_url)) as database:
        index = ReceivedIndex(database, InstanceStore(database, clock), clock)
        index.add(received(1))
        index.add(received(2))
        with database.write() as session:
            session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            )
        assert index.add(received(3)) is not None
        assert len(_rows(database)) == 3
