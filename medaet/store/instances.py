"""The index of received instances: one short transaction for each, before its C-STORE response."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Table, func, select, update
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from medaet.clock import Clock
from medaet.dicom.identity import InstanceHeader
from medaet.errors import InstanceError
from medaet.store import events
from medaet.store.engine import Database
from medaet.store.files import StoredFile
from medaet.store.tables import InstanceRow, SeriesRow, SeriesState, StudyRow
from medaet.store.upsert import insert_unless_present

STUDY = cast(Table, StudyRow.__table__)
SERIES = cast(Table, SeriesRow.__table__)
INSTANCE = cast(Table, InstanceRow.__table__)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an instance turned out to be.

    Attributes:
        is_new: Whether these bytes were not known yet under this SOP Instance UID.
        conflict: Whether they took the place of other bytes under the same SOP Instance UID.
        reopened: Whether the series had been closed, and is now open as its next generation.
    """

    study_id: int
    series_id: int
    is_new: bool
    conflict: bool
    reopened: bool


class _Series(NamedTuple):
    """The part of a series row that recording an instance depends on."""

    id: int
    study_id: int
    state: SeriesState
    generation: int


class InstanceStore:
    """Writes and reads instance rows; one method is one transaction."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @property
    def database(self) -> Database:
        """Where the rows are."""
        return self._database

    def record(
        self,
        header: InstanceHeader,
        stored: StoredFile,
        *,
        calling_ae_title: str,
        called_ae_title: str,
    ) -> Recorded:
        """Index one stored instance.

        Bytes that are known change nothing, except that an open series stays open a little longer:
        its sender is at work. Other bytes under a known SOP Instance UID are a new instance; the
        earlier ones are kept and marked replaced. A new instance re-opens a series that was closed,
        as the next generation.

        Args:
            header: Of the stored instance.
            stored: Where its bytes are.
            calling_ae_title: The sender's.
            called_ae_title: The one the sender asked for.

        Raises:
            InstanceError: a value does not fit the database.
            DatabaseUnavailableError: nothing was written.
        """
        now = self._clock.now()
        titles = {"calling_ae_title": calling_ae_title, "called_ae_title": called_ae_title}
        try:
            with self._database.write() as session:
                series = _found(session, header) or _opened(session, header, titles, now)
                return _record(session, series, header, stored, titles, now)
        except DataError as error:
            raise InstanceError(
                "a value of the header does not fit the database: Modality and AE titles have "
                "at most 16 characters, UIDs at most 64, and none is NUL"
            ) from error

    def paths(self, series_id: int, generation: int | None = None) -> list[str]:
        """List the current instances of a series, by SOP Instance UID.

        Args:
            series_id: The series.
            generation: Leave out what came after this generation; None for everything.

        Returns:
            Paths relative to the spool.
        """
        return [row.path for row in self._current(series_id, generation)]

    def digests(self, series_id: int) -> list[tuple[str, str]]:
        """List (SOP Instance UID, SHA-256) of the current instances of a series, sorted."""
        return [(row.sop_instance_uid, row.sha256) for row in self._current(series_id, None)]

    def _current(self, series_id: int, generation: int | None) -> list[InstanceRow]:
        """Read the newest bytes of each SOP Instance UID, as of a generation."""
        newest = select(func.max(InstanceRow.id)).where(InstanceRow.series_id == series_id)
        if generation is not None:
            newest = newest.where(InstanceRow.generation <= generation)
        query = (
            select(InstanceRow)
            .where(InstanceRow.id.in_(newest.group_by(InstanceRow.sop_instance_uid)))
            .order_by(InstanceRow.sop_instance_uid)
        )
        with self._database.read() as session:
            return list(session.scalars(query))


def _found(session: Session, header: InstanceHeader) -> _Series | None:
    """Read and lock the instance's series, so that it cannot close before the instance is in it."""
    row = session.execute(
        select(SeriesRow.id, SeriesRow.study_id, SeriesRow.state, SeriesRow.generation)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .where(
            StudyRow.study_instance_uid == header.study_instance_uid,
            SeriesRow.series_instance_uid == header.series_instance_uid,
        )
        .with_for_update(of=SeriesRow, key_share=True)
    ).one_or_none()
    return None if row is None else _Series(*row)


def _opened(
    session: Session, header: InstanceHeader, titles: Mapping[str, str], now: datetime
) -> _Series:
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
        found = _found(session, header)
        assert found is not None  # the insert yielded to it, and a commit made it visible
        return found
    events.record(
        session,
        study_id=study_id,
        series_id=series_id,
        name="series.opened",
        at=now,
        modality=header.modality,
        calling_ae_title=titles["calling_ae_title"],
    )
    return _Series(series_id, study_id, SeriesState.OPEN, 1)


def _record(
    session: Session,
    series: _Series,
    header: InstanceHeader,
    stored: StoredFile,
    titles: Mapping[str, str],
    now: datetime,
) -> Recorded:
    reopens = series.state is not SeriesState.OPEN
    instance_id = insert_unless_present(
        session,
        InstanceRow,
        {
            "series_id": series.id,
            "sop_instance_uid": header.sop_instance_uid,
            "sop_class_uid": header.sop_class_uid,
            "transfer_syntax_uid": header.transfer_syntax_uid,
            "path": stored.path,
            "sha256": stored.sha256,
            "size_bytes": stored.size_bytes,
            "generation": series.generation + reopens,
            "received_at": now,
        },
    )
    if instance_id is None:
        if not reopens:
            _touch(session, series, now, {})
        return Recorded(series.study_id, series.id, is_new=False, conflict=False, reopened=False)
    conflict = _replaced(session, series, header, instance_id, now)
    _touch(session, series, now, titles)
    if reopens:
        _reopen(session, series, now)
    return Recorded(series.study_id, series.id, is_new=True, conflict=conflict, reopened=reopens)


def _touch(session: Session, series: _Series, now: datetime, titles: Mapping[str, str]) -> None:
    """Restart the quiet period."""
    session.execute(
        update(SERIES).where(SERIES.c.id == series.id).values(last_received_at=now, **titles)
    )
    session.execute(update(STUDY).where(STUDY.c.id == series.study_id).values(last_received_at=now))


def _replaced(
    session: Session, series: _Series, header: InstanceHeader, instance_id: int, now: datetime
) -> bool:
    """Mark earlier bytes under the same SOP Instance UID as replaced; whether there were any."""
    earlier = session.scalars(
        update(INSTANCE)
        .where(
            INSTANCE.c.series_id == series.id,
            INSTANCE.c.sop_instance_uid == header.sop_instance_uid,
            INSTANCE.c.id != instance_id,
            INSTANCE.c.replaced_at.is_(None),
        )
        .values(replaced_at=now)
        .returning(INSTANCE.c.id)
    ).all()
    if earlier:
        events.record(
            session,
            study_id=series.study_id,
            series_id=series.id,
            name="instance.conflict",
            at=now,
            sop_instance_uid=header.sop_instance_uid,
        )
    return bool(earlier)


def _reopen(session: Session, series: _Series, now: datetime) -> None:
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
