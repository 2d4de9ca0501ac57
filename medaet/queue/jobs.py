"""The job queue: one table, leases that end by themselves, and writes fenced by the attempt."""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import Select, case, select
from sqlalchemy.orm import Session

from medaet.clock import Clock
from medaet.errors import (
    DatabaseUnavailableError,
    MedaetError,
    OutOfSpaceError,
    PermanentError,
    TransientError,
)
from medaet.queue import moves
from medaet.queue.backoff import backoff
from medaet.queue.enqueue import enqueue
from medaet.queue.holding import held, known, locked, rescued
from medaet.queue.keep import keep_results
from medaet.queue.rows import Job, JobInput, NewJob, NewResult, Substitution, read_jobs
from medaet.queue.state import HELD, allowed
from medaet.store.engine import Database
from medaet.store.tables import JOBS_UNDER_WAY, JobRow, JobState, Priority

__all__ = ["Job", "JobInput", "JobQueue", "NewJob", "NewResult"]

ENVIRONMENT_ERRORS = (DatabaseUnavailableError, OutOfSpaceError)
"""Errors of the host, which say nothing about the job and cost it no attempt."""


class JobQueue:
    """Jobs on their way from ready to done; one method is one transaction.

    Args:
        database: Where the tables are.
        clock: Tells what is due and which leases have ended.
        maximum_attempts: For the analysis, and again for the encoding of its findings.
        jitter: Returns a random number from 0 up to 1, which spreads the waits.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        maximum_attempts: int = 3,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._clock = clock
        self._maximum_attempts = maximum_attempts
        self._jitter = jitter

    def enqueue(self, session: Session, new: NewJob) -> int | None:
        """Insert a job in the caller's transaction, and supersede those it takes the place of.

        Returns:
            The job's id; None when the same work is queued or done already. A dead job with the
            same key becomes ready again.
        """
        return enqueue(session, new, now=self._clock.now(), maximum_attempts=self._maximum_attempts)

    def lease(
        self,
        worker: str,
        length: timedelta,
        *,
        only: Priority | None = None,
        waited: timedelta = timedelta(0),
    ) -> Job | None:
        """Take the ready job that has been due longest, urgent ones first, or None.

        The lease ends by itself: a worker that dies needs no clean-up, only patience.

        Args:
            worker: Name of the leasing process, for people who read the table.
            length: How long the worker may be silent before others may take the job.
            only: Leave jobs of another priority to others.
            waited: Leave jobs that have not been due for so long to workers that have nothing to do.
        """
        return self._lease(JobState.READY, worker, length, only=only, waited=waited)

    def lease_encoding(self, worker: str, length: timedelta) -> Job | None:
        """Take the analysed job that has been due longest, urgent ones first, or None."""
        return self._lease(JobState.ANALYSED, worker, length)

    def renew(self, job: Job, length: timedelta) -> None:
        """Push the end of a lease out to `length` from now.

        Raises:
            LeaseLostError: another worker may hold the job; drop the work.
        """
        with self._database.write() as session:
            held(session, job, job.state).lease_ends_at = self._clock.now() + length

    def complete(self, job: Job, *, findings_path: str, device: str) -> None:
        """Hand an analysed job on to be encoded, with a budget of attempts of its own.

        Args:
            job: The leased job.
            findings_path: Folder of the kept findings, relative to the spool.
            device: What it was computed on.

        Raises:
            LeaseLostError: the findings are to be dropped; another attempt makes its own.
        """
        now = self._clock.now()
        with self._database.write() as session:
            row = held(session, job, JobState.LEASED)
            moves.move(row, JobState.ANALYSED)
            row.findings_path, row.device, row.due_at = findings_path, device, now
            row.last_attempt = row.attempt + self._maximum_attempts
            row.last_error = row.error_class = None
            moves.tell(session, row, "job.analysed", now, attempt=row.attempt, device=device)

    def keep(
        self,
        job: Job,
        results: Sequence[NewResult],
        substitutions: Sequence[Substitution] = (),
    ) -> None:
        """Finish an encoded job: its results and their deliveries appear in one instant.

        A result that is there already under its SOP Instance UID is replaced, deliveries included.

        Args:
            job: The leased job.
            results: What was made.
            substitutions: What some peer does not get as it should, for the study's events.

        Raises:
            LeaseLostError: the results are to be dropped; another attempt makes the same ones.
        """
        now = self._clock.now()
        with self._database.write() as session:
            row = held(session, job, JobState.ENCODING)
            moves.move(row, JobState.DONE)
            row.finished_at = now
            row.last_error = row.error_class = None
            keep_results(session, row, results, now)
            kinds = [one.kind for one in results]
            moves.tell(session, row, "job.done", now, attempt=row.attempt, results=kinds)
            for one in substitutions:
                moves.tell(session, row, "result.replaced", now, **asdict(one))

    def fail(self, job: Job, error: MedaetError) -> None:
        """Let a held job wait, or bury it when trying again cannot help or was tried enough.

        Raises:
            LeaseLostError: another worker may hold the job; it will report for itself.
        """
        now = self._clock.now()
        name, reason = type(error).__name__, str(error)
        with self._database.write() as session:
            row = held(session, job, job.state)
            if isinstance(error, ENVIRONMENT_ERRORS):
                row.last_attempt += 1
            if not isinstance(error, TransientError) or row.attempt >= row.last_attempt:
                moves.bury(session, row, error=name, reason=reason, now=now)
                return
            failures = row.attempt + self._maximum_attempts - row.last_attempt
            wait = backoff(failures, self._jitter())
            moves.hand_back(row, error=name, reason=reason, due_at=now + wait)
            moves.tell(
                session,
                row,
                "job.failed",
                now,
                attempt=row.attempt,
                error=name,
                reason=reason,
                wait_seconds=wait.total_seconds(),
            )

    def give_back(self, job: Job) -> None:
        """Let another worker have a leased job that was not begun; it costs no attempt.

        Raises:
            LeaseLostError: another worker may hold the job already.
        """
        now = self._clock.now()
        with self._database.write() as session:
            row = held(session, job, JobState.LEASED)
            moves.move(row, JobState.READY)
            row.due_at = now
            row.last_attempt += 1
            moves.tell(session, row, "job.returned", now, attempt=row.attempt)

    def bury(self, job_id: int, reason: str) -> None:
        """Give up on a job because a person says so; whoever holds it loses it.

        Raises:
            PermanentError: there is no such job, or nothing is left to give up.
        """
        with self._database.write() as session:
            row = locked(session, job_id)
            if not allowed(row.state, JobState.DEAD):
                raise PermanentError(
                    f"job {job_id} is {row.state}; only unfinished ones can be buried"
                )
            now = self._clock.now()
            moves.bury(session, row, error=PermanentError.__name__, reason=reason, now=now)

    def requeue(self, job_id: int) -> None:
        """Send a dead job back to ready, with a new budget of attempts.

        Raises:
            PermanentError: there is no such job, or it is not dead.
        """
        with self._database.write() as session:
            row = locked(session, job_id)
            if row.state is not JobState.DEAD:
                raise PermanentError(f"job {job_id} is {row.state}; only dead ones can be requeued")
            attempts = self._maximum_attempts
            moves.requeue(session, row, now=self._clock.now(), maximum_attempts=attempts)

    def rescue(self) -> int:
        """Give back the jobs whose lease has ended, and say how many those were.

        A job that took its holder down each time is buried like any other that failed that often.
        """
        now = self._clock.now()
        ended = (
            select(JobRow)
            .where(JOBS_UNDER_WAY, JobRow.state.in_(tuple(HELD)), JobRow.lease_ends_at < now)
            .order_by(JobRow.id)
        )
        if not self._finds(ended):
            return 0
        with self._database.write() as session:
            rows = session.scalars(ended.with_for_update(key_share=True, skip_locked=True)).all()
            for row in rows:
                rescued(session, row, now)
            return len(rows)

    def get(self, job_id: int) -> Job:
        """Read one job.

        Raises:
            PermanentError: there is no such job.
        """
        with self._database.read() as session:
            return read_jobs(session, [known(session.get(JobRow, job_id), job_id)])[0]

    def _lease(
        self,
        waiting: JobState,
        worker: str,
        length: timedelta,
        *,
        only: Priority | None = None,
        waited: timedelta = timedelta(0),
    ) -> Job | None:
        now = self._clock.now()
        urgency = case((JobRow.priority == Priority.STAT, 0), else_=1)
        due = (
            select(JobRow)
            .where(JOBS_UNDER_WAY, JobRow.state == waiting, JobRow.due_at <= now - waited)
            .order_by(urgency, JobRow.due_at, JobRow.id)
            .limit(1)
        )
        if only is not None:
            due = due.where(JobRow.priority == only)
        if not self._finds(due):
            return None
        with self._database.write() as session:
            row = session.scalars(
                due.with_for_update(key_share=True, skip_locked=True)  # SQLite: compiles to nothing
            ).one_or_none()
            if row is None:
                return None
            moves.take(session, row, worker=worker, now=now, ends_at=now + length)
            return read_jobs(session, [row])[0]

    def _finds(self, query: Select[JobRow]) -> bool:
        """Whether there is something to do; idle workers must not queue for SQLite's one writer."""
        with self._database.read() as session:
            return session.scalars(query.limit(1)).first() is not None

    def list(
        self, state: JobState | None = None, *, before: int | None = None, limit: int = 100
    ) -> list[Job]:
        """List jobs, the newest first.

        Args:
            state: Only those in this state; None for all.
            before: Only those with a lower number: the way to the next page.
            limit: At most so many.
        """
        query = select(JobRow).order_by(JobRow.id.desc()).limit(limit)
        if state is not None:
            query = query.where(JobRow.state == state)
        if before is not None:
            query = query.where(JobRow.id < before)
        with self._database.read() as session:
            return read_jobs(session, session.scalars(query).all())
