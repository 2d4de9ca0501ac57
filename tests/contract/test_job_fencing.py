"""Who may write to a job and who may not any more, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from medaet.errors import (
    AnalysisError,
    GeometryError,
    LeaseLostError,
)
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import Job, JobQueue
from medaet.store.tables import DeliveryState, JobState
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE, Shelf, result

SECOND = timedelta(seconds=1)


def test_renew_pushes_the_end_of_the_lease_out(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job())
    job = shelf.leased()
    clock.advance(20 * SECOND)
    queue.renew(job, LEASE)
    clock.advance(29 * SECOND)
    assert queue.rescue() == 0
    clock.advance(2 * SECOND)
    assert queue.rescue() == 1


Write = Callable[[JobQueue, Job], None]
WRITES: dict[str, Write] = {
    "renew": lambda queue, job: queue.renew(job, LEASE),
    "complete": lambda queue, job: queue.complete(job, findings_path="f", device="cpu"),
    "keep": lambda queue, job: queue.keep(job, [result("1.2.77")]),
    "fail": lambda queue, job: queue.fail(job, AnalysisError("boom")),
    "fail for good": lambda queue, job: queue.fail(job, GeometryError("bad")),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_a_holder_whose_lease_another_took_over_writes_nothing(
    shelf: Shelf, queue: JobQueue, clock: FakeClock, write: Write
) -> None:
    shelf.enqueue(shelf.job())
    late = shelf.leased()
    clock.advance(LEASE + SECOND)
    queue.rescue()
    current = shelf.leased()
    with pytest.raises(LeaseLostError, match="attempt 1"):
        write(queue, late)
    assert queue.get(current.id) == current


@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_an_encoder_whose_lease_another_took_over_writes_nothing(
    shelf: Shelf, queue: JobQueue, clock: FakeClock, deliveries: DeliveryQueue, write: Write
) -> None:
    shelf.enqueue(shelf.job())
    shelf.analysed()
    late = shelf.encoding()
    clock.advance(LEASE + SECOND)
    queue.rescue()
    current = shelf.encoding()
    with pytest.raises(LeaseLostError):
        write(queue, late)
    assert queue.get(current.id) == current
    assert deliveries.list() == []


@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_a_holder_of_a_superseded_job_writes_nothing(
    shelf: Shelf, queue: JobQueue, write: Write
) -> None:
    shelf.enqueue(shelf.job("one", generation=1))
    held = shelf.leased()
    shelf.enqueue(shelf.job("two", generation=2))
    with pytest.raises(LeaseLostError):
        write(queue, held)
    assert queue.get(held.id).state is JobState.SUPERSEDED


def test_a_holder_whose_lease_ended_unnoticed_may_still_complete(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job())
    job = shelf.leased()
    clock.advance(LEASE + SECOND)
    queue.complete(job, findings_path="f", device="cpu")
    assert queue.get(job.id).state is JobState.ANALYSED


def test_complete_is_refused_when_repeated(shelf: Shelf, queue: JobQueue) -> None:
    shelf.enqueue(shelf.job())
    job = shelf.leased()
    queue.complete(job, findings_path="f", device="cpu")
    with pytest.raises(LeaseLostError):
        queue.complete(job, findings_path="g", device="cpu")


def test_bury_takes_a_job_from_its_holder(shelf: Shelf, queue: JobQueue) -> None:
    shelf.enqueue(shelf.job())
    job = shelf.leased()
    queue.bury(job.id, "sent by mistake")
    with pytest.raises(LeaseLostError):
        queue.complete(job, findings_path="f", device="cpu")
    assert queue.get(job.id).last_error == "sent by mistake"


def test_a_later_generation_supersedes_jobs_in_every_state(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    for key in ("done", "dead", "analysed", "leased", "ready"):
        shelf.enqueue(shelf.job(key))
        clock.advance(SECOND)
    shelf.done()
    shelf.buried()
    shelf.analysed()
    shelf.leased()
    new = shelf.enqueue(shelf.job("new", generation=2))
    states = {job.key: job.state for job in queue.list() if job.id != new}
    assert set(states.values()) == {JobState.SUPERSEDED}
    assert len(states) == 5
    assert shelf.leased().key == "new"


def test_a_later_generation_leaves_other_analyses_and_series_alone(
    shelf: Shelf, queue: JobQueue
) -> None:
    shelf.enqueue(shelf.job("other analysis", analysis="liver"))
    shelf.enqueue(shelf.job("other series", series=1))
    shelf.enqueue(shelf.job("new", generation=2))
    assert {job.state for job in queue.list()} == {JobState.READY}


def test_a_later_generation_withholds_deliveries_that_were_not_answered(
    shelf: Shelf, queue: JobQueue, deliveries: DeliveryQueue
) -> None:
    shelf.enqueue(shelf.job("one", send_to=["a", "b", "c"]))
    shelf.done()
    first = deliveries.lease_batch("sender", LEASE, 10)
    deliveries.sent(first[0], 0x0000)
    held = deliveries.lease_batch("sender", LEASE, 10)
    shelf.enqueue(shelf.job("two", generation=2))
    assert [one.state for one in reversed(deliveries.list())] == [
        DeliveryState.SENT,
        DeliveryState.SUPERSEDED,
        DeliveryState.SUPERSEDED,
    ]
    with pytest.raises(LeaseLostError):
        deliveries.sent(held[0], 0x0000)
