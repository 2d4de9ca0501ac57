"""The series that may belong with one: those of its study, and those of its patient's other studies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from medaet.dicom.drawing import MODALITIES, references
from medaet.dicom.header import facts
from medaet.dicom.identity import SeriesFacts
from medaet.plugin.analysis import Analysis
from medaet.plugin.matching import Candidate
from medaet.store import origins
from medaet.store.files import Spool
from medaet.store.tables import InstanceRow, JobRow, ResultRow, SeriesRow, SeriesState

RESULTS = frozenset({"SEG", "SR"})
"""Modalities of results that other analyses may take."""

RESAMPLED = frozenset({"CT", "MR"})
"""Modalities of results that none may take: they show nothing that their source does not show better."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Complete series, as rows and as what analyses match.

    Attributes:
        trigger: The series that the others are neighbours of.
        series: All of them: the trigger, then its study's, then its patient's, the newest first in each.
        rows: Their rows, by id.
    """

    trigger: Candidate
    series: tuple[Candidate, ...]
    rows: Mapping[int | str, SeriesRow]


def neighbours(session: Session, trigger: SeriesRow, spool: Spool) -> Neighbours:
    """Read the neighbours of a complete series."""
    origin = origins.of_series(session, [trigger.id])[trigger.id]
    rows = [
        trigger,
        *_of_study(session, trigger),
        *origins.of_patient(session, origin.patient, but_study=trigger.study_id),
    ]
    series = _candidates(session, rows, spool)
    return Neighbours(series[0], tuple(series), {row.id: row for row in rows})


def without_results(session: Session, near: Neighbours, analysis: type[Analysis]) -> Neighbours:
    """Leave out what came back from a peer and must not start it again: its own results, and resampled images."""
    rows = {key: row for key, row in near.rows.items() if not _is_result(session, row, analysis)}
    return replace(near, series=tuple(one for one in near.series if one.key in rows), rows=rows)


def _is_result(session: Session, series: SeriesRow, analysis: type[Analysis]) -> bool:
    if series.modality not in RESULTS | RESAMPLED:
        return False
    made = (
        select(ResultRow.id)
        .join(JobRow, JobRow.id == ResultRow.job_id)
        .join(InstanceRow, InstanceRow.sop_instance_uid == ResultRow.sop_instance_uid)
        .where(InstanceRow.series_id == series.id)
        .limit(1)
    )
    if series.modality in RESULTS:
        made = made.where(JobRow.analysis == analysis.name)
    return session.scalar(made) is not None


def _of_study(session: Session, trigger: SeriesRow) -> Sequence[SeriesRow]:
    return session.scalars(
        select(SeriesRow)
        .where(
            SeriesRow.study_id == trigger.study_id,
            SeriesRow.id != trigger.id,
            SeriesRow.state != SeriesState.OPEN,
        )
        .order_by(SeriesRow.closed_at.desc(), SeriesRow.id.desc())
    ).all()


def _candidates(session: Session, rows: Sequence[SeriesRow], spool: Spool) -> list[Candidate]:
    known = origins.of_series(session, [row.id for row in rows])
    return [Candidate(row.id, _facts(session, row, spool), known[row.id]) for row in rows]


def _facts(session: Session, row: SeriesRow, spool: Spool) -> SeriesFacts:
    """Put together what selectors ask for; only objects that draw on other series are opened again for it."""
    found = _counted(session, row)
    if row.modality not in MODALITIES:
        return found
    stored = session.scalars(
        select(InstanceRow.path)
        .where(InstanceRow.series_id == row.id, InstanceRow.replaced_at.is_(None))
        .order_by(InstanceRow.sop_instance_uid)
    )
    return replace(found, references=references([spool.path(path) for path in stored]))


def _counted(session: Session, row: SeriesRow) -> SeriesFacts:
    counted = session.execute(
        select(InstanceRow.sop_class_uid, func.count())
        .where(InstanceRow.series_id == row.id, InstanceRow.replaced_at.is_(None))
        .group_by(InstanceRow.sop_class_uid)
        .order_by(InstanceRow.sop_class_uid)
    ).all()
    return facts(
        row.series_instance_uid,
        row.modality,
        row.attributes,
        sop_class_uids=tuple(uid for uid, _ in counted),
        instances=sum(count for _, count in counted),
    )
