"""A series as its instances come: found or opened, touched, re-opened; within the transaction that adds an instance."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Table, select, update
from sqlalchemy.orm import Session

from medaet.dicom.identity import InstanceHeader, InstanceRef
from medaet.store import events
from medaet.store.tables import SeriesRow, SeriesState, StudyRow
from medaet.store.upsert import insert_unless_present

STUDY = cast(Table, StudyRow.__table__)
SERIES = cast(Table, SeriesRow.__table__)


class Series(NamedTuple):
    """The part of a series row that adding an instance depends on."""

    id: int
    study_id: int
    state: SeriesState
    generation: int

    @property
    def is_open(self) -> bool:
        """Whether it takes instances without a new generation."""
        return self.state is SeriesState.OPEN


def found(session: Session, ref: InstanceRef | InstanceHeader) -> Series | None:
    """Read and lock an instance's series, so that it cannot close before the instance is in it."""
    row = session.execute(
        select(SeriesRow.id, SeriesRow.study_id, SeriesRow.state, SeriesRow.generation)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .where(
            StudyRow.study_instance_uid == ref.study_instance_uid,
            SeriesRow.series_instance_uid == ref.series_instance_uid,
        )
        .with_for_update(of=SeriesRow, key_share=True)
    ).one_or_none()
    return None if row is None else Series(*row)


def opened(
    session: Session, header: InstanceHeader, titles: Mapping[str, str], now: datetime
) -> Series:
    """Insert the series, and its study if new, or read what another process inserted meanwhile."""
    study_id = (
        insert_unless_present(
            session,
            StudyRow,
            {
                "study_instance_uid": header.study_instance_uid,
                "first_received_at": now,
                "last_received_at": now,
            },
        )
        or session.execute(
            select(StudyRow.id).where(StudyRow.study_instance_uid == header.study_instance_uid)
        ).scalar_one()
    )
    series_id = insert_unless_present(
        session,
        SeriesRow,
        {
            "study_id": study_id,
            "series_instance_uid": header.series_instance_uid,
            "modality": header.modality,
            "attributes": header.series_attributes,
            "state": SeriesState.OPEN,
            "generation": 1,
            "opened_at": now,
            "last_received_at": now,
            **titles,
        },
    )
    if series_id is None:
        other = found(session, header)
        assert other is not None  # the insert yielded to it, and a commit made it visible
        return other
    events.record(
        session,
        study_id=study_id,
        series_id=series_id,
        name="series.opened",
        at=now,
        modality=header.modality,
        calling_ae_title=titles["calling_ae_title"],
    )
    return Series(series_id, study_id, SeriesState.OPEN, 1)


def touch(session: Session, series: Series, now: datetime, titles: Mapping[str, str]) -> None:
    """Restart the quiet period."""
    session.execute(
        update(SERIES).where(SERIES.c.id == series.id).values(last_received_at=now, **titles)
    )
    session.execute(update(STUDY).where(STUDY.c.id == series.study_id).values(last_received_at=now))


def reopen(session: Session, series: Series, now: datetime) -> None:
    """Start the series' next generation."""
    session.execute(
        update(SERIES)
        .where(SERIES.c.id == series.id)
        .values(
            state=SeriesState.OPEN,
            generation=series.generation + 1,
            opened_at=now,
            closed_at=None,
            close_reason=None,
        )
    )
    events.record(
        session,
        study_id=series.study_id,
        series_id=series.id,
        name="series.reopened",
        at=now,
        generation=series.generation + 1,
    )
