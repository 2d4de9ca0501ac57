"""Studies and their series: which may close, which wait for dispatch, what people ask of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.orm import Session, joinedload

from medaet.clock import Clock
from medaet.errors import PermanentError
from medaet.store import events
from medaet.store.engine import Database
from medaet.store.tables import (
    InstanceRow,
    JobInputRow,
    JobRow,
    ResultRow,
    SeriesRow,
    SeriesState,
    StudyRow,
)


@dataclass(frozen=True, slots=True)
class StudySummary:
    """A study as a line of a list.

    Attributes:
        series: Number of series.
        instances: Number of current instances.
        jobs: Number of jobs in each state, by the state's word.
    """

    study_instance_uid: str
    first_received_at: datetime
    last_received_at: datetime
    series: int
    instances: int
    jobs: dict[str, int]


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """A series as a line of a list.

    Attributes:
        instances: Number of current instances.
        size_bytes: Of the current instances together.
    """

    series_instance_uid: str
    modality: str
    state: SeriesState
    generation: int
    close_reason: str | None
    calling_ae_title: str
    called_ae_title: str
    opened_at: datetime
    last_received_at: datetime
    closed_at: datetime | None
    instances: int
    size_bytes: int


class StudyStore:
    """Moves series through their states and answers questions; one method is one transaction."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def quiet_series(self, quiet: timedelta, maximum_wait: timedelta) -> list[SeriesRow]:
        """List the open series that may close, each with its study, the one that has been quiet longest first.

        Args:
            quiet: Silence after which a series counts as complete.
            maximum_wait: How long a series may stay open although instances keep coming.
        """
        now = self._clock.now()
        query = (
            select(SeriesRow)
            .where(
                SeriesRow.state == SeriesState.OPEN,
                or_(
                    SeriesRow.last_received_at <= now - quiet,
                    SeriesRow.opened_at <= now - maximum_wait,
                ),
            )
            .order_by(SeriesRow.last_received_at, SeriesRow.id)
            .options(joinedload(SeriesRow.study))
        )
        with self._database.read() as session:
            return list(session.scalars(query))

    def close(
        self,
        series_id: int,
        generation: int,
        reason: str,
        *,
        last_received_at: datetime | None = None,
    ) -> bool:
        """Close an open series, unless it has changed since the caller looked.

        Args:
            series_id: The series.
            generation: The one the caller saw.
            reason: Why it counts as complete, for people.
            last_received_at: The one the caller saw; None to close whatever came in meanwhile.

        Returns:
            Whether the series is closed by this call; if not, it is to be looked at again.
        """
        now = self._clock.now()
        move = update(SeriesRow).where(
            SeriesRow.id == series_id,
            SeriesRow.generation == generation,
            SeriesRow.state == SeriesState.OPEN,
        )
        if last_received_at is not None:
            move = move.where(SeriesRow.last_received_at == last_received_at)
        move = move.values(state=SeriesState.CLOSED, close_reason=reason, closed_at=now)
        with self._database.write() as session:
            study_id = session.scalar(move.returning(SeriesRow.study_id))
            if study_id is None:
                return False
            events.record(
                session,
                study_id=study_id,
                series_id=series_id,
                name="series.closed",
                at=now,
                generation=generation,
                reason=reason,
            )
            return True

    def wait(self, series: SeriesRow, reason: str, until: datetime) -> None:
        """Write down why a series that has fallen silent stays open."""
        with self._database.write() as session:
            events.record(
                session,
                study_id=series.study_id,
                series_id=series.id,
                name="series.waiting",
                at=self._clock.now(),
                reason=reason,
                until=f"{until:%H:%M:%S} UTC",
            )

    def closed_series(self, limit: int = 100) -> list[SeriesRow]:
        """List the series that wait for dispatch, in the order in which they closed."""
        query = (
            select(SeriesRow)
            .where(SeriesRow.state == SeriesState.CLOSED)
            .order_by(SeriesRow.closed_at, SeriesRow.id)
            .limit(limit)
        )
        with self._database.read() as session:
            return list(session.scalars(query))

    def series_of(self, study_id: int) -> list[SeriesRow]:
        """List the series of a study in the order in which they were first received."""
        query = select(SeriesRow).where(SeriesRow.study_id == study_id).order_by(SeriesRow.id)
        with self._database.read() as session:
            return list(session.scalars(query))

    def show(self, study_instance_uid: str) -> tuple[StudySummary, list[SeriesSummary]]:
        """Read one study and its series.

        Raises:
            PermanentError: no such study is stored.
        """
        with self._database.read() as session:
            study = _known(session, study_instance_uid)
            return _summary(session, study), _series_summaries(session, study.id)

    def forget(self, study_instance_uid: str) -> list[str]:
        """Delete everything the tables know of a study, with the jobs of other studies that look at it, too.

        Returns:
            The files and folders that held it, relative to the spool, for the caller to remove:
            rows go first, so that no row ever names a missing file.

        Raises:
            PermanentError: no such study is stored.
        """
        with self._database.write() as session:
            study = _known(session, study_instance_uid)
            session.execute(  # in the order in which receivers lock rows
                select(SeriesRow.id)
                .where(SeriesRow.study_id == study.id)
                .order_by(SeriesRow.id)
                .with_for_update()
            )
            paths = _paths(session, study.id)
            session.execute(delete(JobRow).where(JobRow.id.in_(_jobs(study.id))))
            session.execute(delete(StudyRow).where(StudyRow.id == study.id))
            return paths

    def list(self, limit: int = 100) -> list[StudySummary]:
        """List studies, the one that received an instance last first."""
        query = (
            select(StudyRow)
            .order_by(StudyRow.last_received_at.desc(), StudyRow.id.desc())
            .limit(limit)
        )
        with self._database.read() as session:
            return [_summary(session, row) for row in session.scalars(query)]


def _known(session: Session, study_instance_uid: str) -> StudyRow:
    row = session.scalars(
        select(StudyRow).where(StudyRow.study_instance_uid == study_instance_uid)
    ).one_or_none()
    if row is None:
        raise PermanentError(
            f"no study {study_instance_uid} is stored; `medaet studies list` shows those that are"
        )
    return row


def _summary(session: Session, study: StudyRow) -> StudySummary:
    series = select(SeriesRow.id).where(SeriesRow.study_id == study.id)
    instances = select(func.count()).where(
        InstanceRow.series_id.in_(series), InstanceRow.replaced_at.is_(None)
    )
    jobs = (
        select(JobRow.state, func.count())
        .where(JobRow.study_id == study.id)
        .group_by(JobRow.state)
        .order_by(JobRow.state)
    )
    return StudySummary(
        study_instance_uid=study.study_instance_uid,
        first_received_at=study.first_received_at,
        last_received_at=study.last_received_at,
        series=len(session.scalars(series).all()),
        instances=session.scalars(instances).one(),
        jobs={state.value: count for state, count in session.execute(jobs)},
    )


def _series_summaries(session: Session, study_id: int) -> list[SeriesSummary]:
    query = (
        select(
            SeriesRow,
            func.count(InstanceRow.id),
            func.coalesce(func.sum(InstanceRow.size_bytes), 0),
        )
        .outerjoin(
            InstanceRow,
            (InstanceRow.series_id == SeriesRow.id) & InstanceRow.replaced_at.is_(None),
        )
        .where(SeriesRow.study_id == study_id)
        .group_by(SeriesRow.id)
        .order_by(SeriesRow.id)
    )
    return [
        SeriesSummary(
            series_instance_uid=row.series_instance_uid,
            modality=row.modality,
            state=row.state,
            generation=row.generation,
            close_reason=row.close_reason,
            calling_ae_title=row.calling_ae_title,
            called_ae_title=row.called_ae_title,
            opened_at=row.opened_at,
            last_received_at=row.last_received_at,
            closed_at=row.closed_at,
            instances=count,
            size_bytes=int(size_bytes),
        )
        for row, count, size_bytes in session.execute(query)
    ]


def _paths(session: Session, study_id: int) -> list[str]:
    """List every file of a study: received, found and encoded."""
    received = (
        select(InstanceRow.path).join(SeriesRow, SeriesRow.id == InstanceRow.series_id)
    ).where(SeriesRow.study_id == study_id)
    jobs = _jobs(study_id)
    found = select(JobRow.findings_path).where(
        JobRow.id.in_(jobs), JobRow.findings_path.is_not(None)
    )
    encoded = select(ResultRow.path).where(ResultRow.job_id.in_(jobs))
    return [path for query in (received, found, encoded) for path in session.scalars(query) if path]


def _jobs(study_id: int) -> Select[int]:
    """Select the jobs that belong to a study or look at a series of it."""
    inputs = (
        select(JobInputRow.job_id)
        .join(SeriesRow, SeriesRow.id == JobInputRow.series_id)
        .where(SeriesRow.study_id == study_id)
    )
    return select(JobRow.id).where(or_(JobRow.study_id == study_id, JobRow.id.in_(inputs)))
