"""Who holds a job: rows read under a lock, for those who may write them."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from medaet.errors import ChildCrashedError, LeaseLostError, PermanentError
from medaet.queue import moves
from medaet.queue.rows import Job
from medaet.queue.state import HELD
from medaet.store.tables import JobRow, JobState


def held(session: Session, job: Job, state: JobState) -> JobRow:
    """Read and lock the row of a job that its holder still holds."""
    row = session.scalars(
        select(JobRow)
        .where(JobRow.id == job.id, JobRow.attempt == job.attempt, JobRow.state == state)
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None or state not in HELD:
        raise LeaseLostError(
            f"attempt {job.attempt} of job {job.id} no longer holds it; drop what it made"
        )
    return row


def locked(session: Session, job_id: int) -> JobRow:
    """Read and lock the row of a job, whoever holds it."""
    query = select(JobRow).where(JobRow.id == job_id).with_for_update(key_share=True)
    return known(session.scalars(query).one_or_none(), job_id)


def known(row: JobRow | None, job_id: int) -> JobRow:
    """Return a row that was asked for by its number, or say that there is none."""
    if row is None:
        raise PermanentError(f"there is no job {job_id}; `medaet jobs list` shows those there are")
    return row


def rescued(session: Session, row: JobRow, now: datetime) -> None:
    """Give one job back, or bury it if this was its last attempt."""
    error = ChildCrashedError.__name__
    reason = f"{row.leased_by} fell silent during attempt {row.attempt}"
    if row.attempt >= row.last_attempt:
        moves.bury(session, row, error=error, reason=reason, now=now)
        return
    moves.hand_back(row, error=error, reason=reason, due_at=now)
    moves.tell(session, row, "job.rescued", now, attempt=row.attempt, reason=reason)
