"""The index of instances and the life of series, the same tests on SQLite and on PostgreSQL."""

import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from medaet.errors import InstanceError
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.instances import InstanceStore, Recorded
from medaet.store.studies import StudyStore
from medaet.store.tables import InstanceRow, SeriesState
from medaet.testing.clock import NOON, FakeClock
from medaet.testing.rows import Receiver, arrived, header, stored

SECOND = timedelta(seconds=1)
QUIET, LONGEST = 20 * SECOND, 600 * SECOND


def _close(studies: StudyStore) -> None:
    (series,) = studies.quiet_series(timedelta(0), LONGEST)
    assert studies.close(series.id, series.generation, "quiet")


def _events(database: Database) -> list[str]:
    return [event.name for event in EventStore(database).of_study("1.2.1")]


def test_record_makes_study_and_series_with_their_first_instance(
    receive: Receiver, studies: StudyStore, database: Database
) -> None:
    recorded = receive(1)
    (series,) = studies.series_of(recorded.study_id)
    assert recorded == Recorded(recorded.study_id, series.id, True, False, False)
    assert (series.state, series.generation) == (SeriesState.OPEN, 1)
    assert (series.modality, series.attributes) == ("CT", {"BodyPartExamined": "CHEST"})
    assert (series.calling_ae_title, series.called_ae_title) == ("CT1", "MEDAET")
    assert (series.opened_at, series.last_received_at) == (NOON, NOON)
    assert _events(database) == ["series.opened"]


def test_record_adds_to_an_open_series(
    receive: Receiver, studies: StudyStore, clock: FakeClock, database: Database
) -> None:
    first = receive(1)
    clock.advance(SECOND)
    second = receive(2, sender="CT2")
    assert second == first
    (series,) = studies.series_of(first.study_id)
    assert (series.opened_at, series.last_received_at) == (NOON, NOON + SECOND)
    assert series.calling_ae_title == "CT2"
    assert studies.list()[0].last_received_at == NOON + SECOND
    assert _events(database) == ["series.opened"]


def test_record_keeps_series_of_a_study_apart(receive: Receiver, studies: StudyStore) -> None:
    one, two = receive(1, series=1), receive(1, series=2)
    assert one.study_id == two.study_id
    assert one.series_id != two.series_id
    assert len(studies.list()) == 1


def test_record_changes_nothing_for_bytes_that_are_known(
    receive: Receiver, studies: StudyStore, database: Database, clock: FakeClock
) -> None:
    receive(1)
    _close(studies)
    clock.advance(SECOND)
    again = receive(1)
    assert (again.is_new, again.conflict, again.reopened) == (False, False, False)
    (series,) = studies.series_of(again.study_id)
    assert (series.state, series.generation) == (SeriesState.CLOSED, 1)
    assert series.last_received_at == NOON
    assert _events(database) == ["series.opened", "series.closed"]


def test_record_keeps_a_series_open_while_known_bytes_arrive(
    receive: Receiver, studies: StudyStore, clock: FakeClock
) -> None:
    receive(1)
    clock.advance(QUIET)
    receive(1)
    assert studies.quiet_series(QUIET, LONGEST) == []


def test_record_keeps_both_when_bytes_under_one_uid_differ(
    receive: Receiver, instances: InstanceStore, database: Database, clock: FakeClock
) -> None:
    first = receive(1, b"old")
    clock.advance(SECOND)
    second = receive(1, b"new")
    assert (second.is_new, second.conflict, second.reopened) == (True, True, False)
    assert instances.paths(first.series_id) == [stored(b"new").path]
    with database.read() as session:
        rows = session.scalars(select(InstanceRow).order_by(InstanceRow.id)).all()
    assert [row.replaced_at for row in rows] == [clock.now(), None]
    assert _events(database) == ["series.opened", "instance.conflict"]


def test_record_ignores_bytes_that_were_replaced_before(
    receive: Receiver, instances: InstanceStore
) -> None:
    series_id = receive(1, b"old").series_id
    receive(1, b"new")
    assert not receive(1, b"old").is_new
    assert instances.paths(series_id) == [stored(b"new").path]


@pytest.mark.parametrize("dispatched", [False, True])
def test_record_reopens_a_series_as_its_next_generation(
    receive: Receiver, studies: StudyStore, database: Database, clock: FakeClock, dispatched: bool
) -> None:
    receive(1)
    _close(studies)
    if dispatched:
        with database.write() as session:
            (waiting,) = studies.closed_series()
            session.merge(waiting).state = SeriesState.DISPATCHED
    clock.advance(SECOND)
    late = receive(2)
    assert (late.is_new, late.conflict, late.reopened) == (True, False, True)
    (series,) = studies.series_of(late.study_id)
    assert (series.state, series.generation) == (SeriesState.OPEN, 2)
    assert (series.opened_at, series.last_received_at) == (clock.now(), clock.now())
    assert (series.closed_at, series.close_reason) == (None, None)
    assert _events(database) == ["series.opened", "series.closed", "series.reopened"]


def test_record_reopens_a_series_for_other_bytes_too(
    receive: Receiver, studies: StudyStore, database: Database
) -> None:
    receive(1, b"old")
    _close(studies)
    late = receive(1, b"new")
    assert (late.conflict, late.reopened) == (True, True)
    assert _events(database)[-2:] == ["instance.conflict", "series.reopened"]


@pytest.mark.postgres
def test_record_refuses_values_that_postgres_cannot_take(
    postgres_url: str, clock: FakeClock
) -> None:
    hostile = replace(header(), modality="CT" * 50)
    with contextlib.closing(Database(postgres_url)) as database:
        instances = InstanceStore(database, clock)
        with pytest.raises(InstanceError, match="does not fit") as caught:
            instances.record(arrived(hostile))
    assert "CTCT" not in f"{caught.value} {caught.value.__cause__}"


def test_paths_are_in_the_order_of_uids(receive: Receiver, instances: InstanceStore) -> None:
    for number in (3, 1, 2):
        series_id = receive(number, b"%d" % number).series_id
    assert instances.paths(series_id) == [stored(b"%d" % n).path for n in (1, 2, 3)]


def test_paths_of_a_generation_are_those_its_job_was_made_for(
    receive: Receiver, instances: InstanceStore, studies: StudyStore
) -> None:
    series_id = receive(1, b"old").series_id
    receive(2, b"two")
    _close(studies)
    receive(1, b"new")
    receive(3, b"three")
    assert instances.paths(series_id, 1) == [stored(b"old").path, stored(b"two").path]
    current = [stored(content).path for content in (b"new", b"two", b"three")]
    assert instances.paths(series_id, 2) == instances.paths(series_id) == current


def test_digests_are_sorted_pairs_of_the_current_instances(
    receive: Receiver, instances: InstanceStore
) -> None:
    series_id = receive(2, b"two").series_id
    receive(1, b"old")
    receive(1, b"new")
    assert instances.digests(series_id) == [
        ("1.2.1.1.1", stored(b"new").sha256),
        ("1.2.1.1.2", stored(b"two").sha256),
    ]
