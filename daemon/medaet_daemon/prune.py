"""Delete studies that retention no longer needs, never one with something undelivered."""

import shutil
from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, delete, or_, select

from medaet.clock import Clock
from medaet.store.associations import AssociationStore
from medaet.store.commitments import CommitmentStore
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.tables import (
    DeliveryRow,
    DeliveryState,
    InstanceRow,
    JobInputRow,
    JobRow,
    JobState,
    ResultRow,
    SeriesRow,
    SeriesState,
    StudyRow,
)

log = structlog.get_logger()

POLL = timedelta(minutes=10)
BATCH = 20


class Prune:
    """The stage that makes room: a study goes as a whole, its rows first and its files after."""

    name = "prune"

    def __init__(
        self,
        database: Database,
        spool: Spool,
        keep: timedelta,
        clock: Clock,
        *,
        keep_committed: timedelta | None = None,
    ) -> None:
        self._keep_committed = keep_committed
        self._database = database
        self._associations = AssociationStore(database, clock)
        self._commitments = CommitmentStore(database, spool, clock)
        self._spool = spool
        self._keep = keep
        self._clock = clock

    def step(self) -> timedelta:
        """Remove the oldest finished studies, a few at a time."""
        before = self._clock.now() - self._keep
        self._associations.forget(before)
        self._commitments.forget(before)
        finished = (
            select(StudyRow.id)
            .where(
                StudyRow.last_received_at < before,
                self._may_go(),
                ~select(SeriesRow.id)
                .where(SeriesRow.study_id == StudyRow.id, SeriesRow.state != SeriesState.DISPATCHED)
                .exists(),
                ~select(JobRow.id)
                .where(
                    _draws_on_study(),
                    JobRow.state.not_in((JobState.DONE, JobState.SUPERSEDED)),
                )
                .exists(),
                ~select(DeliveryRow.id)
                .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
                .join(JobRow, JobRow.id == ResultRow.job_id)
                .where(
                    _draws_on_study(),
                    DeliveryRow.state.not_in(
                        (DeliveryState.SENT, DeliveryState.COMMITTED, DeliveryState.SUPERSEDED)
                    ),
                )
                .exists(),
            )
            .order_by(StudyRow.last_received_at)
            .limit(BATCH)
        )
        with self._database.read() as session:
            studies = list(session.scalars(finished))
        for study_id in studies:
            self._remove(study_id)
        return timedelta(0) if len(studies) == BATCH else POLL

    def _may_go(self) -> ColumnElement[bool]:
        """Leave alone what we answered for, for as long as that binds us."""
        committed = (
            select(InstanceRow.id)
            .join(SeriesRow, SeriesRow.id == InstanceRow.series_id)
            .where(SeriesRow.study_id == StudyRow.id, InstanceRow.committed_at.is_not(None))
            .exists()
        )
        if self._keep_committed is None:
            return ~committed
        return or_(~committed, StudyRow.last_received_at < self._clock.now() - self._keep_committed)

    def _remove(self, study_id: int) -> None:
        with self._database.write() as session:
            paths = list(
                session.scalars(
                    select(InstanceRow.path)
                    .join(SeriesRow, SeriesRow.id == InstanceRow.series_id)
                    .where(SeriesRow.study_id == study_id)
                )
            )
            jobs = session.execute(
                select(JobRow.id, JobRow.findings_path).where(JobRow.study_id == study_id)
            ).all()
            session.execute(delete(StudyRow).where(StudyRow.id == study_id))
        for path in paths:
            self._spool.path(path).unlink(missing_ok=True)
        for job_id, findings in jobs:
            shutil.rmtree(self._spool.results(job_id), ignore_errors=True)
            if findings:
                shutil.rmtree(self._spool.path(findings), ignore_errors=True)
        log.info("study.pruned", study_id=study_id, instances=len(paths))


def _draws_on_study() -> ColumnElement[bool]:
    """Whether a job belongs to the study, or looks at a series of it from another one."""
    inputs = (
        select(JobInputRow.job_id)
        .join(SeriesRow, SeriesRow.id == JobInputRow.series_id)
        .where(SeriesRow.study_id == StudyRow.id, JobInputRow.job_id == JobRow.id)
        .correlate(StudyRow, JobRow)
    )
    return or_(JobRow.study_id == StudyRow.id, inputs.exists())
