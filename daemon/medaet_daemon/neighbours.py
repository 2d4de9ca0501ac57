"""The series that may belong with one: those of its study, and those of its patient's other studies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from medaet.dicom.header import facts
from medaet.dicom.identity import SeriesFacts
from medaet.plugin.matching import Candidate
from medaet.store import origins
from medaet.store.tables import InstanceRow, SeriesRow, SeriesState


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


def neighbours(session: Session, trigger: SeriesRow) -> Neighbours:
    """Read the neighbours of a complete series."""
    origin = origins.of_series(session, [trigger.id])[trigger.id]
    rows = [
        trigger,
        *_of_study(session, trigger),
        *origins.of_patient(session, origin.patient, but_study=trigger.study_id),
    ]
    series = _candidates(session, rows)
    return Neighbours(series[0], tuple(series), {row.id: row for row in rows})


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


def _candidates(session: Session, rows: Sequence[SeriesRow]) -> list[Candidate]:
    known = origins.of_series(session, [row.id for row in rows])
    return [Candidate(row.id, _facts(session, row), known[row.id]) for row in rows]


def _facts(session: Session, row: SeriesRow) -> SeriesFacts:
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
