"""The life of series and studies, the same tests on SQLite and on PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from medaet.errors import PermanentError
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.instances import InstanceStore
from medaet.store.studies import StudyStore
from medaet.store.tables import Base
from medaet.testing.clock import NOON, FakeClock
from medaet.testing.rows import Receiver, Shelf, arrived, header, stored

SECOND = timedelta(seconds=1)
QUIET, LONGEST = 20 * SECOND, 600 * SECOND


def test_quiet_series_are_those_that_received_nothing_for_the_quiet_period(
    receive: Receiver, studies: StudyStore, clock: FakeClock
) -> None:
    quiet = receive(1, series=1)
    clock.advance(SECOND)
    receive(1, series=2)
    clock.advance(QUIET - SECOND)
    assert [one.id for one in studies.quiet_series(QUIET, LONGEST)] == [quiet.series_id]


def test_quiet_series_include_those_open_for_the_longest_wait(
    receive: Receiver, studies: StudyStore, clock: FakeClock
) -> None:
    for number in range(60):
        receive(number)
        clock.advance(10 * SECOND)
        assert bool(studies.quiet_series(QUIET, LONGEST)) == (number == 59)


def test_close_is_refused_when_the_series_went_on(
    receive: Receiver, studies: StudyStore, clock: FakeClock
) -> None:
    receive(1)
    clock.advance(QUIET)
    (seen,) = studies.quiet_series(QUIET, LONGEST)
    receive(2)
    assert not studies.close(
        seen.id, seen.generation, "quiet", last_received_at=seen.last_received_at
    )
    assert studies.close(seen.id, seen.generation, "quiet", last_received_at=clock.now())
    assert not studies.close(seen.id, seen.generation, "quiet")


def test_close_is_refused_for_another_generation(receive: Receiver, studies: StudyStore) -> None:
    assert not studies.close(receive(1).series_id, 2, "quiet")


def test_closed_series_wait_in_the_order_they_closed_in(
    receive: Receiver, studies: StudyStore, clock: FakeClock
) -> None:
    one, two = receive(1, series=1).series_id, receive(1, series=2).series_id
    studies.close(two, 1, "no instance for 20 s")
    clock.advance(SECOND)
    studies.close(one, 1, "no instance for 20 s")
    found = studies.closed_series()
    assert [row.id for row in found] == [two, one]
    assert found[0].close_reason == "no instance for 20 s"
    assert found[0].closed_at == NOON


def test_show_counts_current_instances(receive: Receiver, studies: StudyStore) -> None:
    receive(1, b"old")
    receive(1, b"newer")
    receive(2, b"two")
    receive(1, series=2)
    study, (first, second) = studies.show("1.2.1")
    assert (study.series, study.instances, study.jobs) == (2, 3, {})
    assert (first.instances, first.size_bytes) == (2, len(b"newer") + len(b"two"))
    assert second.instances == 1


def test_show_says_where_to_look_for_an_unknown_study(studies: StudyStore) -> None:
    with pytest.raises(PermanentError, match="medaet studies list"):
        studies.show("1.2.3.4")


def test_list_gives_the_study_that_received_something_last_first(
    instances: InstanceStore, studies: StudyStore, clock: FakeClock
) -> None:
    for number in (1, 2, 3):
        instances.record(arrived(header(study=number)))
        clock.advance(SECOND)
    assert [one.study_instance_uid for one in studies.list(limit=2)] == ["1.2.3", "1.2.2"]


def test_forget_deletes_every_row_of_a_study_and_names_its_files(
    shelf: Shelf, studies: StudyStore, instances: InstanceStore, database: Database
) -> None:
    shelf.enqueue(shelf.job())
    shelf.done("1.2.9")
    received = replace(header(), study_instance_uid="1.2", series_instance_uid="1.2.1")
    instances.record(arrived(received))
    assert studies.list()[0].jobs == {"done": 1}
    assert studies.forget("1.2") == [stored().path, "findings/1/1", "results/1.2.9.dcm"]
    with database.read() as session:
        for table in Base.metadata.sorted_tables:
            assert session.scalar(select(func.count()).select_from(table)) == 0


def test_forget_takes_a_job_from_its_holder(
    shelf: Shelf, studies: StudyStore, queue: JobQueue
) -> None:
    shelf.enqueue(shelf.job())
    shelf.leased()
    studies.forget("1.2")
    assert queue.list() == []
