"""The index of instances: where their bytes are, and what becomes of those that come again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import Table, bindparam, func, insert, select, update
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from medaet.clock import Clock
from medaet.dicom.identity import InstanceRef
from medaet.dicom.intake import Intake
from medaet.errors import InstanceError
from medaet.store import events, series
from medaet.store.associations import Sender, begin
from medaet.store.engine import Database
from medaet.store.files import ReceivedFile
from medaet.store.series import Series
from medaet.store.states import INCOMPLETE
from medaet.store.tables import InstanceRow, SeriesRow, StudyRow

INSTANCE = cast(Table, InstanceRow.__table__)

UNUSED = 0
"""Generation of bytes that are kept but not used: others came first under their SOP Instance UID."""

Conflict = Literal["use-newest", "use-first", "refuse"]
"""What becomes of other bytes under a known SOP Instance UID."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """An instance whose file is in the spool.

    Attributes:
        receiver: The process that serves its association; "" when there is none.
    """

    intake: Intake
    stored: ReceivedFile
    sender: Sender
    receiver: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an instance turned out to be.

    Attributes:
        is_new: Whether these bytes were not known yet under this SOP Instance UID.
        conflict: Whether other bytes are known under the same SOP Instance UID.
        reopened: Whether the series had been closed, and is now open as its next generation.
    """

    study_id: int
    series_id: int
    is_new: bool
    conflict: bool
    reopened: bool


class InstanceStore:
    """Writes and reads instance rows; one method is one transaction.

    Args:
        database: Where the rows are.
        clock: Tells when an instance came.
        conflict: What becomes of other bytes under a known SOP Instance UID; both are kept unless they are refused.
    """

    def __init__(
        self, database: Database, clock: Clock, *, conflict: Conflict = "use-newest"
    ) -> None:
        self._database = database
        self._clock = clock
        self._conflict = conflict

    @property
    def database(self) -> Database:
        """Where the rows are."""
        return self._database

    def record(self, arrived: Arrived) -> Recorded | None:
        """Index one stored instance.

        Bytes that are known change nothing, except that an open series stays open a little longer:
        its sender is at work, and it is this association that must end well. Other bytes under a
        known SOP Instance UID are a new instance; the earlier ones are kept and marked replaced. A
        new instance re-opens a series that was closed, as the next generation.

        Returns:
            None, and nothing is written, when its SOP Instance UID is known and a digest is missing to tell
            whether the bytes are: see `undigested`.

        Raises:
            InstanceError: a value does not fit the database, or other bytes are to be refused.
            DatabaseUnavailableError: nothing was written.
        """
        now = self._clock.now()
        titles, ref, sha256 = arrived.sender.titles, arrived.intake.ref, arrived.stored.sha256
        try:
            with self._database.write() as session:
                one = series.found(session, ref) or series.opened(
                    session, arrived.intake.describe(), titles, now
                )
                known = _digests(session, one.id, ref.sop_instance_uid)
                if known and (sha256 is None or None in known):
                    return None
                if sha256 in known:
                    if one.is_open:
                        series.touch(session, one, now, {})
                        _brought_again(session, one.id, arrived, now)
                    return Recorded(one.study_id, one.id, False, False, False)
                if known and not self._takes_over(session, one, ref, now):
                    _add(session, one.id, arrived, now, generation=UNUSED)
                    return Recorded(one.study_id, one.id, True, True, False)
                reopens = not one.is_open
                _add(session, one.id, arrived, now, generation=one.generation + reopens)
                series.touch(session, one, now, titles)
                if reopens:
                    series.reopen(session, one, now)
                return Recorded(one.study_id, one.id, True, bool(known), reopens)
        except DataError as error:
            raise InstanceError(
                "a value of the header does not fit the database: Modality and AE titles have "
                "at most 16 characters, UIDs at most 64, and none is NUL"
            ) from error

    def undigested(self, ref: InstanceRef) -> list[tuple[int, str]]:
        """List (id, path) of what is known under an instance's UID in its series, and has no digest yet."""
        query = (
            select(InstanceRow.id, InstanceRow.path)
            .join(SeriesRow, SeriesRow.id == InstanceRow.series_id)
            .join(StudyRow, StudyRow.id == SeriesRow.study_id)
            .where(
                StudyRow.study_instance_uid == ref.study_instance_uid,
                SeriesRow.series_instance_uid == ref.series_instance_uid,
                InstanceRow.sop_instance_uid == ref.sop_instance_uid,
                InstanceRow.sha256.is_(None),
            )
        )
        with self._database.read() as session:
            return [(row.id, row.path) for row in session.execute(query)]

    def undigested_of(self, series_id: int) -> list[tuple[int, str]]:
        """List (id, path) of the instances of a series that have no digest yet."""
        query = select(InstanceRow.id, InstanceRow.path).where(
            InstanceRow.series_id == series_id, InstanceRow.sha256.is_(None)
        )
        with self._database.read() as session:
            return [(row.id, row.path) for row in session.execute(query)]

    def keep_digests(self, digests: Sequence[tuple[int, str]]) -> None:
        """Write down (id, SHA-256) of instances."""
        if not digests:
            return
        move = (
            update(INSTANCE)
            .where(INSTANCE.c.id == bindparam("key"))
            .values(sha256=bindparam("digest"))
        )
        with self._database.write() as session:
            session.connection().execute(
                move, [{"key": one, "digest": sha256} for one, sha256 in digests]
            )

    def paths(self, series_id: int, generation: int | None = None) -> list[str]:
        """List the current instances of a series, by SOP Instance UID.

        Args:
            series_id: The series.
            generation: Leave out what came after this generation; None for everything.

        Returns:
            Paths relative to the spool.
        """
        return [row.path for row in self._current(series_id, generation)]

    def why_incomplete(self, series_id: int, generation: int) -> str | None:
        """Say why a series that is closed is known to lack something; None when nothing is known to be missing."""
        query = select(SeriesRow.close_reason).where(
            SeriesRow.id == series_id,
            SeriesRow.generation == generation,
            SeriesRow.close_reason.startswith(INCOMPLETE),
        )
        with self._database.read() as session:
            return session.scalar(query)

    def attributes(self, series_id: int) -> list[dict[str, str | int]]:
        """List what is kept of the current images of a series."""
        return [row.attributes for row in self._current(series_id, None)]

    def digests(self, series_id: int) -> list[tuple[str, str | None]]:
        """List (SOP Instance UID, SHA-256) of the current instances of a series, sorted."""
        return [(row.sop_instance_uid, row.sha256) for row in self._current(series_id, None)]

    def _current(self, series_id: int, generation: int | None) -> list[InstanceRow]:
        """Read the newest bytes of each SOP Instance UID, as of a generation."""
        newest = select(func.max(InstanceRow.id)).where(
            InstanceRow.series_id == series_id, InstanceRow.generation != UNUSED
        )
        if generation is not None:
            newest = newest.where(InstanceRow.generation <= generation)
        query = (
            select(InstanceRow)
            .where(InstanceRow.id.in_(newest.group_by(InstanceRow.sop_instance_uid)))
            .order_by(InstanceRow.sop_instance_uid)
        )
        with self._database.read() as session:
            return list(session.scalars(query))

    def _takes_over(self, session: Session, one: Series, ref: InstanceRef, now: datetime) -> bool:
        """Decide about other bytes under a known UID; return whether they are the ones that count.

        Raises:
            InstanceError: they are to be refused.
        """
        if self._conflict == "refuse":
            raise InstanceError("other bytes are stored under this SOP Instance UID")
        events.record(
            session,
            study_id=one.study_id,
            series_id=one.id,
            name="instance.conflict",
            at=now,
            sop_instance_uid=ref.sop_instance_uid,
            used="the newer ones" if self._conflict == "use-newest" else "the earlier ones",
        )
        if self._conflict == "use-first":
            return False
        session.execute(
            update(INSTANCE)
            .where(
                INSTANCE.c.series_id == one.id,
                INSTANCE.c.sop_instance_uid == ref.sop_instance_uid,
                INSTANCE.c.replaced_at.is_(None),
            )
            .values(replaced_at=now)
        )
        return True


def _digests(session: Session, series_id: int, sop_instance_uid: str) -> list[str | None]:
    """Read the digests of everything that is known under a UID."""
    query = select(InstanceRow.sha256).where(
        InstanceRow.series_id == series_id, InstanceRow.sop_instance_uid == sop_instance_uid
    )
    return list(session.scalars(query))


def _brought_again(session: Session, series_id: int, arrived: Arrived, now: datetime) -> None:
    """Note which association brought known bytes last."""
    begin(session, arrived.sender, arrived.receiver, now)
    session.execute(
        update(INSTANCE)
        .where(
            INSTANCE.c.series_id == series_id,
            INSTANCE.c.sop_instance_uid == arrived.intake.ref.sop_instance_uid,
            INSTANCE.c.sha256 == arrived.stored.sha256,
        )
        .values(association_id=arrived.sender.association_id)
    )


def _add(
    session: Session, series_id: int, arrived: Arrived, now: datetime, *, generation: int
) -> None:
    intake, stored = arrived.intake, arrived.stored
    begin(session, arrived.sender, arrived.receiver, now)
    session.execute(
        insert(INSTANCE).values(
            series_id=series_id,
            sop_instance_uid=intake.ref.sop_instance_uid,
            sop_class_uid=intake.ref.sop_class_uid,
            transfer_syntax_uid=intake.transfer_syntax_uid,
            path=stored.path,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            attributes=intake.attributes,
            pixel_offset=intake.pixel_offset,
            pixel_length=intake.pixel_length,
            association_id=arrived.sender.association_id,
            generation=generation,
            received_at=now,
            replaced_at=now if generation == UNUSED else None,
        )
    )
