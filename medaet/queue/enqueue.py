"""How work enters the queue, and how later generations of a series supersede earlier ones."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from medaet.queue.moves import move, requeue, tell
from medaet.queue.rows import NewJob
from medaet.store.tables import (
    DeliveryRow,
    DeliveryState,
    JobInputRow,
    JobRow,
    JobState,
    ResultRow,
)
from medaet.store.upsert import insert_unless_present

UNSENT = (DeliveryState.READY, DeliveryState.LEASED)


def enqueue(session: Session, new: NewJob, *, now: datetime, maximum_attempts: int) -> int | None:
    """Insert a job unless the same work is queued or done, and supersede what it replaces.

    The same work as a dead job's makes that job ready again.

    Args:
        session: Of the transaction that decided on the job.
        new: The job.
        now: When.
        maximum_attempts: How many attempts it gets.

    Returns:
        The job's id, or None when there is nothing to do.
    """
    job_id = insert_unless_present(session, JobRow, _values(new, now, maximum_attempts))
    if job_id is None:
        return _revived(session, new, now, maximum_attempts)
    session.add_all(
        JobInputRow(job_id=job_id, role=role, series_id=series_id, generation=generation)
        for role, (series_id, generation) in new.inputs.items()
    )
    session.flush()
    _supersede(session, new, job_id, now)
    return job_id


def _values(new: NewJob, now: datetime, maximum_attempts: int) -> Mapping[str, object]:
    return {
        "key": new.key,
        "study_id": new.study_id,
        "analysis": new.analysis,
        "analysis_version": new.analysis_version,
        "weights_sha256": new.weights_sha256,
        "settings": dict(new.settings),
        "send_to": list(new.send_to),
        "priority": new.priority,
        "state": JobState.READY,
        "created_at": now,
        "due_at": now,
        "attempt": 0,
        "last_attempt": maximum_attempts,
    }


def _revived(session: Session, new: NewJob, now: datetime, maximum_attempts: int) -> int | None:
    """Give a dead job with the same key more attempts; its id, or None when it is not dead."""
    row = session.scalars(
        select(JobRow)
        .where(JobRow.key == new.key, JobRow.state == JobState.DEAD)
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        return None
    row.send_to = list(new.send_to)
    row.priority = new.priority
    requeue(session, row, now=now, maximum_attempts=maximum_attempts)
    return row.id


def _supersede(session: Session, new: NewJob, job_id: int, now: datetime) -> None:
    """Take earlier jobs of the same analysis on earlier generations, or on some of the series, out of the flow."""
    _supersede_parts(session, new, job_id, now)
    for series_id, generation in new.inputs.values():
        earlier = (
            select(JobRow)
            .join(JobInputRow, JobInputRow.job_id == JobRow.id)
            .where(
                JobInputRow.series_id == series_id,
                JobInputRow.generation < generation,
                JobRow.analysis == new.analysis,
                JobRow.state != JobState.SUPERSEDED,
            )
            .order_by(JobRow.id)
            .with_for_update(of=JobRow, key_share=True)
        )
        for row in session.scalars(earlier).all():
            _retire(session, row, now)
            tell(session, row, "job.superseded", now, by=job_id, generation=generation)


def _supersede_parts(session: Session, new: NewJob, job_id: int, now: datetime) -> None:
    """Take jobs out of the flow that did without a series that the new job has."""
    wanted = {(role, *one) for role, one in new.inputs.items()}
    if len(wanted) == 1:
        return
    series_ids = [series_id for series_id, _ in new.inputs.values()]
    sharing = (
        select(JobRow)
        .where(
            JobRow.id.in_(select(JobInputRow.job_id).where(JobInputRow.series_id.in_(series_ids))),
            JobRow.id != job_id,
            JobRow.analysis == new.analysis,
            JobRow.state != JobState.SUPERSEDED,
        )
        .order_by(JobRow.id)
        .with_for_update(of=JobRow, key_share=True)
    )
    for row in session.scalars(sharing).all():
        inputs = session.scalars(select(JobInputRow).where(JobInputRow.job_id == row.id))
        if {(one.role, one.series_id, one.generation) for one in inputs} < wanted:
            _retire(session, row, now)
            tell(session, row, "job.outgrown", now, by=job_id)


def _retire(session: Session, row: JobRow, now: datetime) -> None:
    move(row, JobState.SUPERSEDED)
    row.finished_at = row.finished_at or now
    _withhold(session, row.id)


def _withhold(session: Session, job_id: int) -> None:
    """Stop the deliveries of a superseded job that no peer has answered yet."""
    results = select(ResultRow.id).where(ResultRow.job_id == job_id)
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.result_id.in_(results), DeliveryRow.state.in_(UNSENT))
        .values(state=DeliveryState.SUPERSEDED, leased_by=None, lease_ends_at=None)
    )
