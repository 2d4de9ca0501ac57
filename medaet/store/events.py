"""What happened to a study, one row a fact.

An event is written in the transaction that makes it true, and read by `medaet studies explain`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from medaet.store.engine import Database
from medaet.store.tables import EventRow, SeriesRow, StudyRow


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        name: `noun.past_participle`, such as "series.closed".
        details: Why, in JSON values; never a patient attribute.
        series_instance_uid: Of the series it happened to; None for the study or a job.
    """

    at: datetime
    name: str
    details: Mapping[str, object]
    series_instance_uid: str | None
    job_id: int | None


def record(
    session: Session,
    *,
    study_id: int,
    name: str,
    at: datetime,
    series_id: int | None = None,
    job_id: int | None = None,
    **details: object,
) -> None:
    """Write one event in the caller's transaction.

    Args:
        session: Of the transaction that makes the fact true.
        study_id: The study it happened to.
        name: `noun.past_participle`.
        at: When.
        series_id: The series it happened to, if one.
        job_id: The job it happened to, if one.
        details: JSON values that say why; never a patient attribute.
    """
    session.execute(
        insert(EventRow).values(
            study_id=study_id,
            name=name,
            at=at,
            series_id=series_id,
            job_id=job_id,
            details=details,
        )
    )


class EventStore:
    """Reads the events of a study."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_study(self, study_instance_uid: str) -> list[Event]:
        """List what happened to a study, oldest first; empty when the study is unknown."""
        query = (
            select(EventRow, SeriesRow.series_instance_uid)
            .join(StudyRow, StudyRow.id == EventRow.study_id)
            .outerjoin(SeriesRow, SeriesRow.id == EventRow.series_id)
            .where(StudyRow.study_instance_uid == study_instance_uid)
            .order_by(EventRow.at, EventRow.id)
        )
        with self._database.read() as session:
            return [
                Event(row.at, row.name, row.details, series_instance_uid, row.job_id)
                for row, series_instance_uid in session.execute(query)
            ]
