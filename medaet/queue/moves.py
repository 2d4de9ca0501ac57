"""Moves of one job row from state to state, each with the event that tells of it."""

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from medaet.queue.state import HELD, allowed
from medaet.store import events
from medaet.store.tables import JobRow, JobState

log = structlog.get_logger()


def move(row: JobRow, state: JobState) -> None:
    """Change a row's state, and end its lease if it had one."""
    if not allowed(row.state, state):
        raise ValueError(f"job {row.id} cannot go from {row.state} to {state}")
    row.state = state
    row.leased_by = row.lease_ends_at = None


def take(session: Session, row: JobRow, *, worker: str, now: datetime, ends_at: datetime) -> None:
    """Lease a waiting job; the lease's number is the new attempt."""
    move(row, _held_after(row.state))
    row.attempt += 1
    row.leased_by, row.lease_ends_at = worker, ends_at
    if row.state is JobState.LEASED:
        row.started_at = now
    tell(session, row, "job.leased", now, state=row.state, attempt=row.attempt, worker=worker)


def hand_back(row: JobRow, *, error: str, reason: str, due_at: datetime) -> None:
    """Let a held job wait for its next attempt."""
    move(row, HELD[row.state])
    row.due_at = due_at
    row.last_error, row.error_class = reason, error


def bury(session: Session, row: JobRow, *, error: str, reason: str, now: datetime) -> None:
    """Make a job a dead letter."""
    move(row, JobState.DEAD)
    row.finished_at = now
    row.last_error, row.error_class = reason, error
    tell(session, row, "job.buried", now, attempt=row.attempt, error=error, reason=reason)
    log.error(
        "job.buried",
        job_id=row.id,
        analysis=row.analysis,
        attempt=row.attempt,
        error=error,
        reason=reason,
    )


def requeue(session: Session, row: JobRow, *, now: datetime, maximum_attempts: int) -> None:
    """Send a dead job back to the start, with a new budget of attempts."""
    move(row, JobState.READY)
    row.due_at = now
    row.last_attempt = row.attempt + maximum_attempts
    row.finished_at = None
    tell(session, row, "job.requeued", now, attempt=row.attempt)


def tell(session: Session, row: JobRow, name: str, now: datetime, **details: object) -> None:
    """Write what happened to a job into its study's events."""
    session.flush()
    events.record(
        session,
        study_id=row.study_id,
        series_id=None,
        job_id=row.id,
        name=name,
        at=now,
        analysis=row.analysis,
        **details,
    )


def _held_after(waiting: JobState) -> JobState:
    return next(held for held, back in HELD.items() if back is waiting)
