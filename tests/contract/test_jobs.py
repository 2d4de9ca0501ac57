"""The job queue, the same tests on SQLite and on PostgreSQL."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from medaet.errors import (
    AnalysisError,
    GeometryError,
    PermanentError,
)
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.tables import DeliveryState, JobState, Priority, ResultRow
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE, Shelf, result

SECOND = timedelta(seconds=1)


def test_lease_hands_out_everything_that_was_enqueued(shelf: Shelf, queue: JobQueue) -> None:
    job_id = shelf.enqueue(shelf.job("k", send_to=["pacs", "viewer"], priority=Priority.STAT))
    job = shelf.leased()
    assert (job.id, job.key, job.study_id) == (job_id, "k", shelf.study_id)
    assert (job.analysis, job.analysis_version) == ("lungs", "1.0.0")
    assert (job.settings, job.send_to) == ({"spacing_mm": 1.5}, ("pacs", "viewer"))
    assert job.inputs == {"ct": (shelf.series_ids[0], 1)}
    assert job.inputs["ct"].generation == 1
    assert (job.state, job.attempt, job.last_attempt) == (JobState.LEASED, 1, 3)
    assert (job.leased_by, job.priority) == ("worker", Priority.STAT)


def test_lease_returns_none_when_nothing_waits(queue: JobQueue) -> None:
    assert queue.lease("worker", LEASE) is None
    assert queue.lease_encoding("worker", LEASE) is None


def test_lease_takes_stat_jobs_first_then_the_oldest(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job("first"))
    clock.advance(SECOND)
    shelf.enqueue(shelf.job("second"))
    shelf.enqueue(shelf.job("urgent", priority=Priority.STAT))
    assert [shelf.leased().key for _ in range(3)] == ["urgent", "first", "second"]


def test_lease_waits_until_a_job_is_due(shelf: Shelf, queue: JobQueue, clock: FakeClock) -> None:
    shelf.enqueue(shelf.job())
    queue.fail(shelf.leased(), AnalysisError("boom"))
    clock.advance(10 * SECOND - timedelta(microseconds=1))
    assert queue.lease("worker", LEASE) is None
    clock.advance(timedelta(microseconds=1))
    assert shelf.leased().attempt == 2


def test_lease_prefers_what_is_due_over_what_is_urgent_and_waits(
    shelf: Shelf, queue: JobQueue
) -> None:
    shelf.enqueue(shelf.job("urgent", priority=Priority.STAT))
    queue.fail(shelf.leased(), AnalysisError("boom"))
    shelf.enqueue(shelf.job("routine"))
    assert shelf.leased().key == "routine"


def test_enqueue_yields_to_the_same_work(shelf: Shelf, queue: JobQueue) -> None:
    assert shelf.enqueue(shelf.job("k")) is not None
    assert shelf.enqueue(shelf.job("k")) is None
    shelf.done()
    assert shelf.enqueue(shelf.job("k")) is None
    assert len(queue.list()) == 1


def test_enqueue_makes_a_dead_job_ready_again(shelf: Shelf, queue: JobQueue) -> None:
    job_id = shelf.enqueue(shelf.job("k"))
    shelf.buried()
    assert shelf.enqueue(shelf.job("k", send_to=["viewer"])) == job_id
    job = shelf.leased()
    assert (job.attempt, job.last_attempt, job.send_to) == (2, 4, ("viewer",))


def test_enqueue_is_undone_with_the_transaction_it_is_part_of(
    shelf: Shelf, queue: JobQueue, database: Database
) -> None:
    def change_mind() -> None:
        with database.write() as session:
            queue.enqueue(session, shelf.job())
            raise GeometryError("the caller changed its mind")

    with pytest.raises(GeometryError):
        change_mind()
    assert queue.list() == []


def test_a_job_goes_from_ready_to_done(shelf: Shelf, queue: JobQueue, clock: FakeClock) -> None:
    job_id = shelf.enqueue(shelf.job())
    assert job_id is not None
    started = clock.now()
    leased = shelf.leased()
    clock.advance(5 * SECOND)
    queue.complete(leased, findings_path="findings/1/1", device="cuda:0")
    assert queue.get(job_id).state is JobState.ANALYSED
    encoding = shelf.encoding()
    assert (encoding.attempt, encoding.findings_path) == (2, "findings/1/1")
    clock.advance(SECOND)
    queue.keep(encoding, [result()])
    job = queue.get(job_id)
    assert (job.state, job.device) == (JobState.DONE, "cuda:0")
    assert (job.started_at, job.finished_at) == (started, clock.now())
    assert (job.leased_by, job.lease_ends_at, job.last_error) == (None, None, None)


def test_complete_gives_the_encoding_attempts_of_its_own(shelf: Shelf, queue: JobQueue) -> None:
    shelf.enqueue(shelf.job())
    shelf.analysed()
    assert shelf.encoding().last_attempt == 4


def test_keep_writes_a_delivery_for_each_result_and_peer(
    shelf: Shelf, queue: JobQueue, deliveries: DeliveryQueue
) -> None:
    shelf.enqueue(shelf.job(send_to=["pacs", "viewer", "pacs"]))
    shelf.done("1.2.9", "1.2.10")
    found = {(one.sop_instance_uid, one.peer, one.state) for one in deliveries.list()}
    assert found == {
        (uid, peer, DeliveryState.READY)
        for uid in ("1.2.9", "1.2.10")
        for peer in ("pacs", "viewer")
    }


def test_keep_finishes_a_job_that_nobody_gets_the_results_of(
    shelf: Shelf, queue: JobQueue, deliveries: DeliveryQueue
) -> None:
    shelf.enqueue(shelf.job(send_to=[]))
    shelf.done()
    assert [job.state for job in queue.list()] == [JobState.DONE]
    assert deliveries.list() == []


def test_keep_replaces_an_earlier_copy_of_a_result(
    shelf: Shelf, queue: JobQueue, database: Database, deliveries: DeliveryQueue
) -> None:
    shelf.enqueue(shelf.job("one"))
    shelf.done("1.2.9")
    other = shelf.enqueue(shelf.job("two", analysis="liver"))
    shelf.done("1.2.9")
    with database.read() as session:
        assert session.scalars(select(ResultRow.job_id)).all() == [other]
    assert [one.job_id for one in deliveries.list()] == [other]


@pytest.mark.parametrize("ask", ["get", "requeue"])
def test_asking_for_an_unknown_job_says_where_to_look(queue: JobQueue, ask: str) -> None:
    with pytest.raises(PermanentError, match="medaet jobs list"):
        getattr(queue, ask)(77)


def test_the_events_of_a_study_tell_each_attempt(
    shelf: Shelf, queue: JobQueue, database: Database, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job())
    queue.fail(shelf.leased(), AnalysisError("boom"))
    clock.advance(10 * SECOND)
    shelf.done()
    told = [(one.name, one.details.get("reason")) for one in EventStore(database).of_study("1.2")]
    assert told == [
        ("job.leased", None),
        ("job.failed", "boom"),
        ("job.leased", None),
        ("job.analysed", None),
        ("job.leased", None),
        ("job.done", None),
    ]


def test_list_gives_the_newest_first_and_at_most_so_many(shelf: Shelf, queue: JobQueue) -> None:
    for number in range(5):
        shelf.enqueue(shelf.job(str(number)))
    assert [job.key for job in queue.list(limit=2)] == ["4", "3"]
    assert queue.list(JobState.DONE) == []
