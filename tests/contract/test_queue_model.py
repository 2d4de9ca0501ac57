"""The job queue against a model of it in plain Python, over random histories."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from medaet.errors import AnalysisError, GeometryError, LeaseLostError, OutOfSpaceError
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import Job, JobQueue
from medaet.queue.state import FINAL, HELD
from medaet.store.engine import Database
from medaet.store.tables import Base, JobState, Priority
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE, Shelf, result

ATTEMPTS = 2
WAITS = {0: timedelta(seconds=10), 1: timedelta(seconds=10), 2: timedelta(seconds=20)}
"""By failures in a row; an error of the host costs no attempt, and waits as after the first failure."""


@dataclass
class Modelled:
    """What a job should be."""

    id: int
    analysis: str
    generation: int
    priority: Priority
    due_at: datetime
    state: JobState = JobState.READY
    attempt: int = 0
    last_attempt: int = ATTEMPTS
    ends_at: datetime | None = None

    def holds(self, job: Job, state: JobState) -> bool:
        return self.attempt == job.attempt and self.state is state

    def wait(self, now: datetime) -> None:
        self.due_at = now + WAITS[self.attempt + ATTEMPTS - self.last_attempt]
        self.state = HELD[self.state]


class QueueMachine(RuleBasedStateMachine):
    """Does the same to the queue and to the model, and compares them after each step."""

    holders = Bundle("holders")
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.database = Database("sqlite:///:memory:")
        Base.metadata.create_all(self.database.engine)
        self.clock = FakeClock()
        self.queue = JobQueue(
            self.database, self.clock, maximum_attempts=ATTEMPTS, jitter=lambda: 1.0
        )
        self.deliveries = DeliveryQueue(self.database, self.clock)
        self.model: dict[int, Modelled] = {}
        self.sent: set[int] = set()

    def teardown(self) -> None:
        self.database.close()

    @initialize()
    def fill(self) -> None:
        self.shelf = Shelf.filled(self.database, self.queue, self.clock.now())

    @rule(
        target=jobs,
        analysis=st.sampled_from(["lungs", "liver"]),
        generation=st.integers(1, 3),
        priority=st.sampled_from(Priority),
    )
    def enqueue(self, analysis: str, generation: int, priority: Priority) -> object:
        key = f"{analysis} {generation}"
        known = [
            one
            for one in self.model.values()
            if (one.analysis, one.generation) == (analysis, generation)
        ]
        job_id = self.shelf.enqueue(
            self.shelf.job(key, analysis=analysis, generation=generation, priority=priority)
        )
        if known and known[0].state is JobState.DEAD:
            assert job_id == known[0].id
            known[0].priority = priority
            self._requeued(known[0])
            return multiple()
        if known:
            assert job_id is None
            return multiple()
        assert job_id is not None
        for one in self.model.values():
            if one.analysis == analysis and one.generation < generation:
                one.state = JobState.SUPERSEDED
        self.model[job_id] = Modelled(job_id, analysis, generation, priority, self.clock.now())
        return job_id

    @rule(target=holders, waiting=st.sampled_from([JobState.READY, JobState.ANALYSED]))
    def lease(self, waiting: JobState) -> object:
        lease = self.queue.lease if waiting is JobState.READY else self.queue.lease_encoding
        job = lease("worker", LEASE)
        due = [
            one
            for one in self.model.values()
            if one.state is waiting and one.due_at <= self.clock.now()
        ]
        if not due:
            assert job is None
            return multiple()
        first = min(due, key=lambda one: (one.priority is not Priority.STAT, one.due_at, one.id))
        assert job is not None
        assert job.id == first.id
        first.state = next(held for held, back in HELD.items() if back is waiting)
        first.attempt += 1
        first.ends_at = self.clock.now() + LEASE
        assert (job.state, job.attempt) == (first.state, first.attempt)
        return job

    @rule(job=holders)
    def renew(self, job: Job) -> None:
        one = self.model[job.id]
        if not one.holds(job, job.state):
            with pytest.raises(LeaseLostError):
                self.queue.renew(job, LEASE)
            return
        self.queue.renew(job, LEASE)
        one.ends_at = self.clock.now() + LEASE

    @rule(job=holders)
    def complete(self, job: Job) -> None:
        one = self.model[job.id]
        if not one.holds(job, JobState.LEASED):
            with pytest.raises(LeaseLostError):
                self.queue.complete(job, findings_path="f", device="cpu")
            return
        self.queue.complete(job, findings_path="f", device="cpu")
        one.state = JobState.ANALYSED
        one.due_at = self.clock.now()
        one.last_attempt = one.attempt + ATTEMPTS

    @rule(job=holders)
    def keep(self, job: Job) -> None:
        one = self.model[job.id]
        if not one.holds(job, JobState.ENCODING):
            with pytest.raises(LeaseLostError):
                self.queue.keep(job, [result(f"1.2.{job.id}")])
            return
        self.queue.keep(job, [result(f"1.2.{job.id}")])
        one.state = JobState.DONE

    @rule(
        job=holders,
        error=st.sampled_from([AnalysisError("a"), GeometryError("g"), OutOfSpaceError("o")]),
    )
    def fail(self, job: Job, error: AnalysisError | GeometryError | OutOfSpaceError) -> None:
        one = self.model[job.id]
        if not one.holds(job, job.state):
            with pytest.raises(LeaseLostError):
                self.queue.fail(job, error)
            return
        self.queue.fail(job, error)
        if isinstance(error, OutOfSpaceError):
            one.last_attempt += 1
            one.wait(self.clock.now())
        elif isinstance(error, GeometryError) or one.attempt == one.last_attempt:
            one.state = JobState.DEAD
        else:
            one.wait(self.clock.now())

    @rule()
    def rescue(self) -> None:
        ended = [
            one
            for one in self.model.values()
            if one.state in HELD and one.ends_at is not None and one.ends_at < self.clock.now()
        ]
        assert self.queue.rescue() == len(ended)
        for one in ended:
            if one.attempt >= one.last_attempt:
                one.state = JobState.DEAD
            else:
                one.state = HELD[one.state]
                one.due_at = self.clock.now()

    @rule(job_id=jobs)
    def requeue(self, job_id: int) -> None:
        if self.model[job_id].state is JobState.DEAD:
            self.queue.requeue(job_id)
            self._requeued(self.model[job_id])

    @rule(job_id=consumes(jobs))
    def bury(self, job_id: int) -> None:
        if self.model[job_id].state not in FINAL:
            self.queue.bury(job_id, "enough")
            self.model[job_id].state = JobState.DEAD

    @rule(seconds=st.sampled_from([1, 10, 31, 120]))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule()
    def deliver(self) -> None:
        for one in self.deliveries.lease_batch("sender", LEASE, 1):
            assert one.job_id not in self.sent, "a result was sent twice"
            assert self.model[one.job_id].state is JobState.DONE
            self.deliveries.sent(one, 0)
            self.sent.add(one.job_id)

    @invariant()
    def queue_and_model_agree(self) -> None:
        found = {job.id: (job.state, job.attempt, job.last_attempt) for job in self.queue.list()}
        assert found == {
            one.id: (one.state, one.attempt, one.last_attempt) for one in self.model.values()
        }

    @invariant()
    def only_held_jobs_have_a_lease(self) -> None:
        for job in self.queue.list():
            assert (job.state in HELD) == (job.lease_ends_at is not None)
            assert (job.state in FINAL) == (job.finished_at is not None)

    def _requeued(self, one: Modelled) -> None:
        one.state = JobState.READY
        one.due_at = self.clock.now()
        one.last_attempt = one.attempt + ATTEMPTS


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
