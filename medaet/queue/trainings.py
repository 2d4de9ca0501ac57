"""The queue of training runs: leases that end by themselves and writes fenced by the attempt, as for jobs.

A run is no job: it has no study, no findings to encode and no peer to send to; it lasts hours, and an attempt goes on
where the one before ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from medaet.clock import Clock
from medaet.errors import (
    LeaseLostError,
    MedaetError,
    PermanentError,
    TrainingError,
    TransientError,
)
from medaet.queue.backoff import backoff
from medaet.store.engine import Database
from medaet.store.tables import (
    JOBS_UNDER_WAY,
    TRAININGS_UNDER_WAY,
    JobRow,
    JobState,
    Priority,
    TrainingRow,
    TrainingState,
)

__all__ = ["Training", "TrainingQueue", "TrainingState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training run as it was when it was read; see `TrainingRow`."""

    id: int
    name: str
    version: str
    configuration: Mapping[str, Any]
    folder: str
    state: TrainingState
    created_at: datetime
    due_at: datetime
    attempt: int
    last_attempt: int
    leased_by: str | None
    lease_ends_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    progress: Mapping[str, Any]
    last_error: str | None
    error_class: str | None


class TrainingQueue:
    """Training runs on their way from ready to done; one method is one transaction.

    Args:
        database: Where the tables are.
        clock: Tells what is due and which leases have ended.
        maximum_attempts: Before an error buries a run.
    """

    def __init__(self, database: Database, clock: Clock, *, maximum_attempts: int = 3) -> None:
        self._database = database
        self._clock = clock
        self._maximum_attempts = maximum_attempts

    def enqueue(
        self, *, name: str, version: str, configuration: Mapping[str, Any], folder: str
    ) -> int:
        """Insert a run, and return its id.

        Raises:
            PermanentError: a run of the same folder is under way.
        """
        now = self._clock.now()
        with self._database.write() as session:
            other = select(TrainingRow).where(TRAININGS_UNDER_WAY, TrainingRow.folder == folder)
            row = session.scalars(other).first()
            if row is not None:
                raise PermanentError(
                    f"training run {row.id} works in {folder}; wait for it, bury it, or name another --out"
                )
            row = TrainingRow(
                name=name,
                version=version,
                configuration=dict(configuration),
                folder=folder,
                created_at=now,
                due_at=now,
                last_attempt=self._maximum_attempts,
            )
            session.add(row)
            session.flush()
            return row.id

    def lease(self, worker: str, length: timedelta) -> Training | None:
        """Take the run that has been due longest, or None; whose lease has ended is due."""
        now = self._clock.now()
        due = (
            select(TrainingRow)
            .where(
                TRAININGS_UNDER_WAY,
                (
                    (TrainingRow.state == TrainingState.READY) & (TrainingRow.due_at <= now)
                    | (TrainingRow.state == TrainingState.LEASED)
                    & (TrainingRow.lease_ends_at < now)
                ),
            )
            .order_by(TrainingRow.due_at, TrainingRow.id)
            .limit(1)
        )
        with self._database.read() as session:
            if session.scalars(due).first() is None:
                return None
        with self._database.write() as session:
            row = session.scalars(due.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            if row.state is TrainingState.LEASED and row.attempt >= row.last_attempt:
                row.last_error = f"{row.leased_by} fell silent during attempt {row.attempt}"
                row.error_class = TrainingError.__name__
                self._end(row, TrainingState.DEAD)
                return None
            row.state, row.attempt = TrainingState.LEASED, row.attempt + 1
            row.leased_by, row.lease_ends_at = worker, now + length
            row.started_at = row.started_at or now
            session.flush()
            return _training(row)

    def report(self, training: Training, progress: Mapping[str, Any], length: timedelta) -> None:
        """Keep how far a run is, and its lease.

        Raises:
            LeaseLostError: somebody buried it, or another worker holds it.
        """
        with self._database.write() as session:
            row = _held(session, training)
            row.progress, row.lease_ends_at = dict(progress), self._clock.now() + length

    def complete(self, training: Training) -> None:
        """Finish a run.

        Raises:
            LeaseLostError: another worker holds it.
        """
        with self._database.write() as session:
            row = _held(session, training)
            row.last_error = row.error_class = None
            self._end(row, TrainingState.DONE)

    def fail(self, training: Training, error: MedaetError) -> None:
        """Let a run wait for its next attempt, or bury it when trying again cannot help or was tried enough.

        Raises:
            LeaseLostError: another worker holds it.
        """
        with self._database.write() as session:
            row = _held(session, training)
            row.last_error, row.error_class = str(error), type(error).__name__
            if not isinstance(error, TransientError) or row.attempt >= row.last_attempt:
                self._end(row, TrainingState.DEAD)
                return
            self._wait(row, self._clock.now() + backoff(row.attempt, 0.0))

    def hand_back(self, training: Training) -> None:
        """Let whoever comes next go on with a run, as when a daemon stops; it costs no attempt.

        Raises:
            LeaseLostError: another worker holds it.
        """
        with self._database.write() as session:
            row = _held(session, training)
            row.last_attempt += 1
            self._wait(row, self._clock.now())

    def bury(self, training_id: int, reason: str) -> None:
        """Give up on a run because a person says so; whoever holds it stops.

        Raises:
            PermanentError: there is no such run, or it has ended.
        """
        with self._database.write() as session:
            row = _known(session, training_id)
            if row.state not in (TrainingState.READY, TrainingState.LEASED):
                raise PermanentError(f"training run {training_id} is {row.state}; it has ended")
            row.last_error, row.error_class = reason, PermanentError.__name__
            self._end(row, TrainingState.DEAD)

    def requeue(self, training_id: int) -> None:
        """Let a dead run go on from its checkpoint, with a new budget of attempts.

        Raises:
            PermanentError: there is no such run, or it is not dead.
        """
        with self._database.write() as session:
            row = _known(session, training_id)
            if row.state is not TrainingState.DEAD:
                raise PermanentError(
                    f"training run {training_id} is {row.state}; only dead ones go on"
                )
            row.finished_at = None
            row.last_attempt = row.attempt + self._maximum_attempts
            self._wait(row, self._clock.now())

    def get(self, training_id: int) -> Training:
        """Read one run.

        Raises:
            PermanentError: there is no such run.
        """
        with self._database.read() as session:
            return _training(_known(session, training_id, lock=False))

    def list(self, *, limit: int = 100) -> list[Training]:
        """List runs, the newest first."""
        query = select(TrainingRow).order_by(TrainingRow.id.desc()).limit(limit)
        with self._database.read() as session:
            return [_training(row) for row in session.scalars(query)]

    def stat_job_waits(self) -> bool:
        """Whether a STAT job waits for a device or is on one."""
        query = (
            select(JobRow.id)
            .where(
                JOBS_UNDER_WAY,
                JobRow.priority == Priority.STAT,
                (
                    (JobRow.state == JobState.READY) & (JobRow.due_at <= self._clock.now())
                    | (JobRow.state == JobState.LEASED)
                ),
            )
            .limit(1)
        )
        with self._database.read() as session:
            return session.scalars(query).first() is not None

    def _wait(self, row: TrainingRow, due_at: datetime) -> None:
        row.state, row.due_at = TrainingState.READY, due_at
        row.leased_by = row.lease_ends_at = None

    def _end(self, row: TrainingRow, state: TrainingState) -> None:
        row.state, row.finished_at = state, self._clock.now()
        row.leased_by = row.lease_ends_at = None


def _held(session: Session, training: Training) -> TrainingRow:
    row = session.scalars(
        select(TrainingRow)
        .where(
            TrainingRow.id == training.id,
            TrainingRow.attempt == training.attempt,
            TrainingRow.state == TrainingState.LEASED,
        )
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise LeaseLostError(
            f"attempt {training.attempt} of training run {training.id} no longer holds it"
        )
    return row


def _known(session: Session, training_id: int, *, lock: bool = True) -> TrainingRow:
    query = select(TrainingRow).where(TrainingRow.id == training_id)
    row = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise PermanentError(
            f"there is no training run {training_id}; `medaet trainings list` shows those there are"
        )
    return row


def _training(row: TrainingRow) -> Training:
    return Training(**{one.name: getattr(row, one.name) for one in fields(Training)})
