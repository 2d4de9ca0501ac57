"""The dashboard's SELECTs that list: studies a page at a time, and what belongs to one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from medaet.queue.rows import Delivery, Job, read_deliveries, read_jobs
from medaet.store.engine import Database
from medaet.store.tables import (
    JOBS_UNDER_WAY,
    DeliveryRow,
    InstanceRow,
    JobRow,
    JobState,
    ResultRow,
    SeriesRow,
    StudyRow,
)

ROWS_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class StudyLine:
    """A study in a list.

    Attributes:
        modalities: Of its series, each once.
        jobs: Number of jobs in each state.
    """

    id: int
    last_received_at: datetime
    modalities: Sequence[str]
    series: int
    instances: int
    jobs: dict[JobState, int]


class Listings:
    """Lists rows; one method is one transaction.

    Args:
        database: One that refuses writes.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def held_jobs(self, limit: int = ROWS_A_PAGE) -> list[Job]:
        """List the jobs that somebody works on now."""
        held = JobRow.state.in_((JobState.LEASED, JobState.ENCODING))
        query = select(JobRow).where(JOBS_UNDER_WAY, held).order_by(JobRow.id).limit(limit)
        with self._database.read() as session:
            return read_jobs(session, session.scalars(query).all())

    def studies(self, number: int = 1, limit: int = ROWS_A_PAGE) -> list[StudyLine]:
        """List a page of studies, the one that received an instance last first.

        Args:
            number: Of the page, from 1.
            limit: Studies on a page.
        """
        query = (
            select(StudyRow)
            .order_by(StudyRow.last_received_at.desc(), StudyRow.id.desc())
            .limit(limit)
            .offset((number - 1) * limit)
        )
        with self._database.read() as session:
            rows = session.scalars(query).all()
            return _lines(session, rows)

    def study_uid(self, study_id: int) -> str | None:
        """Return the Study Instance UID of a study; None when there is none of that number."""
        query = select(StudyRow.study_instance_uid).where(StudyRow.id == study_id)
        with self._database.read() as session:
            return session.scalar(query)

    def study_id(self, study_instance_uid: str) -> int | None:
        """Return the number of a study; None when there is none of that UID."""
        query = select(StudyRow.id).where(StudyRow.study_instance_uid == study_instance_uid)
        with self._database.read() as session:
            return session.scalar(query)

    def series_attributes(self, study_id: int) -> dict[str, dict[str, object]]:
        """Return what selectors know of each series of a study, by Series Instance UID."""
        query = select(SeriesRow.series_instance_uid, SeriesRow.attributes).where(
            SeriesRow.study_id == study_id
        )
        with self._database.read() as session:
            return dict(session.execute(query).all())

    def jobs_of_study(self, study_id: int) -> list[Job]:
        """List the jobs of a study, oldest first."""
        query = select(JobRow).where(JobRow.study_id == study_id).order_by(JobRow.id)
        with self._database.read() as session:
            return read_jobs(session, session.scalars(query).all())

    def deliveries_of_jobs(self, job_ids: Sequence[int]) -> list[Delivery]:
        """List the deliveries of some jobs, oldest first."""
        query = (
            select(DeliveryRow.id)
            .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
            .where(ResultRow.job_id.in_(job_ids))
            .order_by(DeliveryRow.id)
        )
        with self._database.read() as session:
            return read_deliveries(session, session.scalars(query).all())


def _lines(session: Session, rows: Sequence[StudyRow]) -> list[StudyLine]:
    """Add what each study holds, in three more queries however many studies there are."""
    ids = [row.id for row in rows]
    modalities: dict[int, list[str]] = {one: [] for one in ids}
    series = dict.fromkeys(ids, 0)
    query = (
        select(SeriesRow.study_id, SeriesRow.modality, func.count())
        .where(SeriesRow.study_id.in_(ids))
        .group_by(SeriesRow.study_id, SeriesRow.modality)
        .order_by(SeriesRow.modality)
    )
    for study_id, modality, count in session.execute(query):
        modalities[study_id].append(modality)
        series[study_id] += count
    counted = (
        select(SeriesRow.study_id, func.count())
        .join(InstanceRow, InstanceRow.series_id == SeriesRow.id)
        .where(SeriesRow.study_id.in_(ids), InstanceRow.replaced_at.is_(None))
        .group_by(SeriesRow.study_id)
    )
    instances = dict(session.execute(counted).all())
    states = (
        select(JobRow.study_id, JobRow.state, func.count())
        .where(JobRow.study_id.in_(ids))
        .group_by(JobRow.study_id, JobRow.state)
    )
    jobs: dict[int, dict[JobState, int]] = {one: {} for one in ids}
    for study_id, state, count in session.execute(states):
        jobs[study_id][state] = count
    return [
        StudyLine(
            id=row.id,
            last_received_at=row.last_received_at,
            modalities=modalities[row.id],
            series=series[row.id],
            instances=instances.get(row.id, 0),
            jobs=jobs[row.id],
        )
        for row in rows
    ]
