"""Jobs for devices that are busy: which are left to others, and what is given back, on both databases."""

from datetime import timedelta

import pytest

from medaet.errors import AnalysisError, LeaseLostError
from medaet.queue.jobs import JobQueue
from medaet.store.tables import JobState, Priority
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE, Shelf

SECOND = timedelta(seconds=1)


def test_lease_leaves_jobs_of_another_priority(shelf: Shelf, queue: JobQueue) -> None:
    shelf.enqueue(shelf.job("routine"))
    assert queue.lease("worker", LEASE, only=Priority.STAT) is None
    shelf.enqueue(shelf.job("urgent", priority=Priority.STAT))
    job = queue.lease("worker", LEASE, only=Priority.STAT)
    assert job is not None
    assert job.key == "urgent"


def test_lease_leaves_new_jobs_to_workers_that_have_nothing_to_do(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job())
    assert queue.lease("busy", LEASE, waited=SECOND) is None
    clock.advance(SECOND)
    assert queue.lease("busy", LEASE, waited=SECOND) is not None


def test_a_job_that_is_given_back_is_ready_at_once_and_lost_no_attempt(
    shelf: Shelf, queue: JobQueue
) -> None:
    shelf.enqueue(shelf.job())
    for _ in range(5):
        queue.give_back(shelf.leased())
    job = queue.list()[0]
    assert (job.state, job.attempt) == (JobState.READY, 5)
    queue.fail(shelf.leased(), AnalysisError("boom"))  # the first of three that count
    assert queue.list()[0].state is JobState.READY


def test_a_job_that_somebody_else_holds_cannot_be_given_back(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job())
    mine = shelf.leased()
    clock.advance(LEASE + SECOND)
    queue.rescue()
    with pytest.raises(LeaseLostError):
        queue.give_back(mine)
