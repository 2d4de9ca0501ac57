"""What becomes of jobs that fail, on SQLite and on PostgreSQL."""

from datetime import timedelta

import pytest

from medaet.errors import (
    AnalysisError,
    ChildCrashedError,
    DatabaseUnavailableError,
    MedaetError,
    OutOfSpaceError,
    PermanentError,
)
from medaet.queue.jobs import JobQueue
from medaet.store.tables import JobState
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE, Shelf

SECOND = timedelta(seconds=1)


def test_a_transient_error_buries_a_job_after_the_last_attempt(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job())
    waits = []
    for _ in range(3):
        job = shelf.leased()
        queue.fail(job, ChildCrashedError("signal 11"))
        waits.append((queue.get(job.id).due_at - clock.now()) / SECOND)
        clock.advance(3600 * SECOND)
    job = queue.get(job.id)
    assert waits[:2] == [10, 20]
    assert (job.state, job.attempt) == (JobState.DEAD, 3)
    assert (job.error_class, job.last_error) == ("ChildCrashedError", "signal 11")
    assert queue.lease("worker", LEASE) is None


def test_a_permanent_error_buries_a_job_at_once(shelf: Shelf, queue: JobQueue) -> None:
    shelf.enqueue(shelf.job())
    shelf.buried()
    (job,) = queue.list(JobState.DEAD)
    assert (job.attempt, job.error_class, job.last_error) == (
        1,
        "GeometryError",
        "slices are missing",
    )


@pytest.mark.parametrize("error", [OutOfSpaceError("full"), DatabaseUnavailableError("down")])
def test_an_error_of_the_host_costs_no_attempt(
    shelf: Shelf, queue: JobQueue, clock: FakeClock, error: MedaetError
) -> None:
    shelf.enqueue(shelf.job())
    for _ in range(20):
        queue.fail(shelf.leased(), error)
        clock.advance(10 * SECOND)
    job = shelf.leased()
    assert job.last_attempt - job.attempt == 2


def test_a_failed_encoding_goes_back_to_be_encoded(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job())
    shelf.analysed()
    job = shelf.encoding()
    queue.fail(job, OutOfSpaceError("full"))
    assert queue.get(job.id).state is JobState.ANALYSED
    assert queue.lease_encoding("encoder", LEASE) is None
    clock.advance(10 * SECOND)
    assert shelf.encoding().findings_path == "findings/1/1"


def test_rescue_gives_back_what_its_holder_dropped(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job("one"))
    shelf.enqueue(shelf.job("two"))
    shelf.analysed()
    encoded, analysed = shelf.encoding(), shelf.leased()
    clock.advance(LEASE + SECOND)
    assert queue.rescue() == 2
    assert queue.get(encoded.id).state is JobState.ANALYSED
    assert queue.get(analysed.id).state is JobState.READY
    assert queue.rescue() == 0


def test_rescue_buries_a_job_that_took_every_holder_down(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job())
    for _ in range(3):
        job = shelf.leased()
        clock.advance(LEASE + SECOND)
        queue.rescue()
    job = queue.get(job.id)
    assert (job.state, job.error_class) == (JobState.DEAD, "ChildCrashedError")
    assert job.last_error == "worker fell silent during attempt 3"


def test_requeue_gives_a_dead_job_a_new_budget(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job())
    shelf.buried()
    (dead,) = queue.list(JobState.DEAD)
    queue.requeue(dead.id)
    for _ in range(3):
        job = shelf.leased()
        queue.fail(job, AnalysisError("boom"))
        clock.advance(3600 * SECOND)
    assert queue.get(dead.id).state is JobState.DEAD
    assert queue.get(dead.id).attempt == 4


def test_requeue_refuses_a_job_that_is_not_dead(shelf: Shelf, queue: JobQueue) -> None:
    job_id = shelf.enqueue(shelf.job())
    assert job_id is not None
    with pytest.raises(PermanentError, match="is ready"):
        queue.requeue(job_id)


def test_bury_refuses_a_finished_job(shelf: Shelf, queue: JobQueue) -> None:
    shelf.enqueue(shelf.job())
    shelf.done()
    with pytest.raises(PermanentError, match="is done"):
        queue.bury(1, "too late")
