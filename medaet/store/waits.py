"""Which analyses wait for a partner of a series, and until when."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from medaet.store.matching_table import WaitingRow
from medaet.store.tables import SeriesRow
from medaet.store.upsert import insert_unless_present


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait that has ended.

    Attributes:
        series: The series that waited, locked; None when another generation of it has come since.
    """

    analysis: str
    series: SeriesRow | None


def begin(session: Session, analysis: str, series: SeriesRow, until: datetime) -> None:
    """Let a series wait for partners in an analysis; a wait that there is already begins anew."""
    values = {
        "analysis": analysis,
        "series_id": series.id,
        "generation": series.generation,
        "until": until,
    }
    if insert_unless_present(session, WaitingRow, values) is None:
        session.execute(
            update(WaitingRow)
            .where(WaitingRow.analysis == analysis, WaitingRow.series_id == series.id)
            .values(generation=series.generation, until=until)
        )


def end(session: Session, analysis: str, series_ids: Collection[int]) -> None:
    """End the waits of some series in an analysis."""
    session.execute(
        delete(WaitingRow).where(
            WaitingRow.analysis == analysis, WaitingRow.series_id.in_(series_ids)
        )
    )


def is_any_over(session: Session, now: datetime) -> bool:
    """Whether a wait has lasted long enough."""
    return session.scalar(select(WaitingRow.id).where(WaitingRow.until <= now).limit(1)) is not None


def take_over(session: Session, now: datetime) -> Wait | None:
    """Take the wait that ended first, in the caller's transaction; None when there is none."""
    row = session.scalars(
        select(WaitingRow)
        .where(WaitingRow.until <= now)
        .order_by(WaitingRow.until, WaitingRow.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    session.delete(row)
    session.flush()
    series = session.scalars(
        select(SeriesRow)
        .where(SeriesRow.id == row.series_id, SeriesRow.generation == row.generation)
        .with_for_update(key_share=True)
    ).one_or_none()
    return Wait(row.analysis, series)
