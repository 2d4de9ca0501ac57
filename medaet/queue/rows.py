"""What the queues hand in and out: plain values, free of any session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from medaet.store.tables import (
    DeliveryRow,
    DeliveryState,
    JobInputRow,
    JobRow,
    JobState,
    Priority,
    ResultRow,
)


class JobInput(NamedTuple):
    """A series generation that takes a role in a job."""

    series_id: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be enqueued.

    Attributes:
        key: Hash of everything that decides the results; the same work is never queued twice.
        send_to: Names of the peers that get the results.
        inputs: (series_id, generation) by role.
    """

    key: str
    study_id: int
    analysis: str
    analysis_version: str
    weights_sha256: str
    inputs: Mapping[str, tuple[int, int]]
    settings: Mapping[str, object] = field(default_factory=dict)
    send_to: Sequence[str] = ()
    priority: Priority = Priority.ROUTINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it was when it was read.

    Attributes:
        attempt: Number of the newest lease, and the fencing number of every write by its holder.
        last_attempt: The attempt after which an error that costs one buries the job.
        findings_path: Folder of the kept findings, relative to the spool.
        send_to: Names of the peers that get the results.
        inputs: What is analysed, by role.
    """

    id: int
    key: str
    study_id: int
    analysis: str
    analysis_version: str
    weights_sha256: str
    settings: Mapping[str, object]
    send_to: tuple[str, ...]
    priority: Priority
    state: JobState
    created_at: datetime
    due_at: datetime
    attempt: int
    last_attempt: int
    leased_by: str | None
    lease_ends_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    device: str | None
    findings_path: str | None
    last_error: str | None
    error_class: str | None
    inputs: Mapping[str, JobInput]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResult:
    """An encoded and proven SOP instance that lies in the spool.

    Attributes:
        kind: "SEG", "SR", "PM", "KO", "SC" or "PDF".
        path: Relative to the spool.
        sha256: Of the whole file, in hexadecimal.
        proof: The figures of the proof, or of the checks that stand for it.
        peers: Who gets it; None for all that the job sends to.
    """

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    path: str
    sha256: str
    size_bytes: int
    proof: Mapping[str, object]
    peers: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """What a peer does not get as its profile would have it.

    Attributes:
        kind: Of the result, or the name of an extra.
        wanted: What the profile asks for, in words.
        instead: What it gets, in words; empty for nothing.
    """

    peer: str
    kind: str
    wanted: str
    instead: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A result's way to one peer, as it was when it was read.

    Attributes:
        peer: The peer's name in the configuration.
        path: Of the result, relative to the spool.
        attempt: Number of the newest lease, and the fencing number of every write by its holder.
        status: DIMSE status of the newest C-STORE response (PS3.7 Annex C); None before the first.
    """

    id: int
    result_id: int
    job_id: int
    study_id: int
    peer: str
    kind: str
    path: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    size_bytes: int
    state: DeliveryState
    due_at: datetime
    attempt: int
    leased_by: str | None
    lease_ends_at: datetime | None
    sent_at: datetime | None
    status: int | None
    last_error: str | None


def read_jobs(session: Session, rows: Sequence[JobRow]) -> list[Job]:
    """Turn rows into values, with their inputs, in one more query."""
    inputs: dict[int, dict[str, JobInput]] = {row.id: {} for row in rows}
    found = select(JobInputRow).where(JobInputRow.job_id.in_(inputs)).order_by(JobInputRow.role)
    for one in session.scalars(found) if rows else ():
        inputs[one.job_id][one.role] = JobInput(one.series_id, one.generation)
    return [_job(row, inputs[row.id]) for row in rows]


def _job(row: JobRow, inputs: Mapping[str, JobInput]) -> Job:
    return Job(
        id=row.id,
        key=row.key,
        study_id=row.study_id,
        analysis=row.analysis,
        analysis_version=row.analysis_version,
        weights_sha256=row.weights_sha256,
        settings=row.settings,
        send_to=tuple(row.send_to),
        priority=row.priority,
        state=row.state,
        created_at=row.created_at,
        due_at=row.due_at,
        attempt=row.attempt,
        last_attempt=row.last_attempt,
        leased_by=row.leased_by,
        lease_ends_at=row.lease_ends_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        device=row.device,
        findings_path=row.findings_path,
        last_error=row.last_error,
        error_class=row.error_class,
        inputs=inputs,
    )


def read_deliveries(session: Session, ids: Sequence[int]) -> list[Delivery]:
    """Turn rows into values, in the order of `ids`."""
    query = (
        select(DeliveryRow, ResultRow, JobRow.study_id)
        .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
        .join(JobRow, JobRow.id == ResultRow.job_id)
        .where(DeliveryRow.id.in_(ids))
    )
    found = {
        row.id: _delivery(row, result, study_id) for row, result, study_id in session.execute(query)
    }
    return [found[one] for one in ids]


def _delivery(row: DeliveryRow, result: ResultRow, study_id: int) -> Delivery:
    return Delivery(
        id=row.id,
        result_id=result.id,
        job_id=result.job_id,
        study_id=study_id,
        peer=row.peer,
        kind=result.kind,
        path=result.path,
        sop_class_uid=result.sop_class_uid,
        sop_instance_uid=result.sop_instance_uid,
        series_instance_uid=result.series_instance_uid,
        size_bytes=result.size_bytes,
        state=row.state,
        due_at=row.due_at,
        attempt=row.attempt,
        leased_by=row.leased_by,
        lease_ends_at=row.lease_ends_at,
        sent_at=row.sent_at,
        status=row.status,
        last_error=row.last_error,
    )
