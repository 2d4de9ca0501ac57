"""The dashboard's SELECTs that count: what an overview shows, and what /metrics tells."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func, select

from medaet.store.engine import Database
from medaet.store.tables import (
    JOBS_UNDER_WAY,
    DeliveryRow,
    DeliveryState,
    JobRow,
    JobState,
    ResultRow,
    SeriesRow,
    SeriesState,
    StudyRow,
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What goes to one peer.

    Attributes:
        last_error: Of the deliveries that wait.
    """

    peer: str
    waiting: int
    dead: int
    sent: int
    last_sent_at: datetime | None
    waiting_since: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Device:
    """What a device did lately, and does now."""

    name: str
    finished: int
    last_finished_at: datetime | None


class Queries:
    """Counts what is in the tables; one method is one transaction.

    Args:
        database: One that refuses writes.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def job_counts(self) -> dict[JobState, int]:
        """Count the jobs in each state, none among them."""
        query = select(JobRow.state, func.count()).group_by(JobRow.state)
        with self._database.read() as session:
            found = dict(session.execute(query).all())
        return {state: found.get(state, 0) for state in JobState}

    def job_counts_by_analysis(self) -> list[tuple[str, JobState, int]]:
        """Count the jobs of each analysis in each state."""
        query = select(JobRow.analysis, JobRow.state, func.count()).group_by(
            JobRow.analysis, JobRow.state
        )
        with self._database.read() as session:
            return [(name, state, count) for name, state, count in session.execute(query)]

    def series_counts(self) -> dict[SeriesState, int]:
        """Count the series in each state, none among them."""
        query = select(SeriesRow.state, func.count()).group_by(SeriesRow.state)
        with self._database.read() as session:
            found = dict(session.execute(query).all())
        return {state: found.get(state, 0) for state in SeriesState}

    def study_count(self) -> int:
        """Count the studies that are kept."""
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(StudyRow)) or 0

    def oldest_due(self) -> datetime | None:
        """Return since when the ready job that is due longest is due; None when none is ready."""
        query = select(func.min(JobRow.due_at)).where(
            JOBS_UNDER_WAY, JobRow.state == JobState.READY
        )
        with self._database.read() as session:
            return session.scalar(query)

    def last_received(self) -> list[tuple[str, datetime]]:
        """Return when each sender's newest instance came, by calling AE title, the newest first."""
        newest = func.max(SeriesRow.last_received_at)
        query = (
            select(SeriesRow.calling_ae_title, newest)
            .group_by(SeriesRow.calling_ae_title)
            .order_by(newest.desc())
        )
        with self._database.read() as session:
            return [(title, at) for title, at in session.execute(query)]

    def traffic(self) -> list[Traffic]:
        """Add up what waits for each peer, what it took and what it never will."""
        state = DeliveryRow.state
        under_way = state.in_((DeliveryState.READY, DeliveryState.LEASED))
        query = (
            select(
                DeliveryRow.peer,
                _number(under_way),
                _number(state == DeliveryState.DEAD),
                _number(state.in_((DeliveryState.SENT, DeliveryState.COMMITTED))),
                func.max(DeliveryRow.sent_at),
                func.min(case((under_way, ResultRow.created_at))),
                func.max(case((under_way, DeliveryRow.last_error))),
            )
            .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
            .group_by(DeliveryRow.peer)
            .order_by(DeliveryRow.peer)
        )
        with self._database.read() as session:
            return [Traffic(*row) for row in session.execute(query)]

    def devices(self, since: datetime) -> list[Device]:
        """Say what each device finished since a moment."""
        query = (
            select(JobRow.device, func.count(), func.max(JobRow.finished_at))
            .where(JobRow.device.is_not(None), JobRow.finished_at >= since)
            .group_by(JobRow.device)
            .order_by(JobRow.device)
        )
        with self._database.read() as session:
            return [Device(str(name), count, at) for name, count, at in session.execute(query)]


def waited(since: datetime | None, now: datetime) -> timedelta:
    """Return how long something waits; zero when nothing does."""
    return timedelta(0) if since is None else max(now - since, timedelta(0))


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
