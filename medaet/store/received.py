"""The index of what is received: rows of concurrent associations in one transaction, before their C-STORE responses."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from medaet.clock import Clock
from medaet.dicom.intake import Intake
from medaet.errors import DatabaseUnavailableError
from medaet.store.arrivals import Arrivals, Folder
from medaet.store.direct import Statement, moment_binder
from medaet.store.engine import Cursor, Database
from medaet.store.files import ReceivedFile
from medaet.store.group import Group
from medaet.store.instances import INSTANCE, InstanceStore, Recorded
from medaet.store.series import SERIES, STUDY
from medaet.store.tables import SeriesState

REMEMBERED_SERIES = 4096

Key = tuple[str, str]
"""Study and Series Instance UID."""


@dataclass(frozen=True, slots=True)
class Received:
    """One instance whose file is in the spool.

    Attributes:
        folder: Of the file; its names are not synced yet.
    """

    intake: Intake
    stored: ReceivedFile
    folder: Folder
    calling_ae_title: str
    called_ae_title: str

    @property
    def key(self) -> Key:
        """Which series it belongs to."""
        return self.intake.ref.study_instance_uid, self.intake.ref.series_instance_uid


class ReceivedIndex:
    """Records received instances; of the threads that wait, one commits for all.

    Args:
        database: Where the rows go.
        instances: Records what takes more than an insert: the first of a series, and what came before.
        arrivals: Whose folders are synced before a row names a file in them.
        clock: Tells when an instance came.
    """

    def __init__(
        self, database: Database, instances: InstanceStore, arrivals: Arrivals, clock: Clock
    ) -> None:
        self._instances = instances
        self._arrivals = arrivals
        self._clock = clock
        self._database = database
        self._statements = _Statements(database)
        self._group: Group[Received, Recorded | None] = Group(self._commit)
        self._lock = threading.Lock()
        self._known: dict[Key, tuple[int, int]] = {}

    def add(self, received: Received) -> Recorded | None:
        """Record an instance for good; None when its SOP Instance UID is in its series already.

        Raises:
            DatabaseUnavailableError, OutOfSpaceError: it may be recorded, or not; the file has to stay.
            InstanceError: a value does not fit the database; nothing was recorded.
        """
        if received.key in self._known:
            recorded = self._group.do(received)
            if recorded is not None:
                return recorded
        self._arrivals.sync([received.folder])
        recorded = self._instances.record(
            received.intake,
            received.stored,
            calling_ae_title=received.calling_ae_title,
            called_ae_title=received.called_ae_title,
        )
        if recorded is not None:
            self._remember(received.key, (recorded.series_id, recorded.study_id))
        return recorded

    def _remember(self, key: Key, ids: tuple[int, int]) -> None:
        with self._lock:
            if len(self._known) >= REMEMBERED_SERIES:
                self._known.clear()
            self._known[key] = ids

    def _commit(self, group: Sequence[Received]) -> list[Recorded | None]:
        """Sync the folders of a group, then record it in one transaction.

        Returns:
            For each what it turned out to be; None where its series is not open, or its UID is not new: those take
            the way that asks more questions.
        """
        self._arrivals.sync({id(one.folder): one.folder for one in group}.values())
        try:
            return self._written(group)
        except DatabaseUnavailableError:
            if not self._database.is_remote:
                raise
            return self._written(group)  # the connection was stale; to write twice is to write once

    def _written(self, group: Sequence[Received]) -> list[Recorded | None]:
        """Record a group in one transaction."""
        found: list[Recorded | None] = [None] * len(group)
        of_series: dict[tuple[int, int], list[int]] = {}
        for number, one in enumerate(group):
            ids = self._known.get(one.key)
            if ids is not None:
                of_series.setdefault(ids, []).append(number)
        now = self._statements.moment(self._clock.now())
        with self._database.direct_write() as cursor:
            # In the order of their ids, as everybody locks them: PostgreSQL would see a deadlock otherwise.
            for (series_id, study_id), numbers in sorted(of_series.items()):
                new = self._statements.insert(cursor, series_id, [group[n] for n in numbers], now)
                recorded = Recorded(
                    study_id, series_id, is_new=True, conflict=False, reopened=False
                )
                for number, is_new in zip(numbers, new, strict=True):
                    found[number] = recorded if is_new else None
            for study_id in sorted({study_id for _, study_id in of_series}):
                self._statements.touch_study(cursor, study_id, now)
        return found


class _Statements:
    """The statements of the hot path, compiled once."""

    def __init__(self, database: Database) -> None:
        engine = database.engine
        self.moment = moment_binder(engine.dialect)
        self._touch_series = Statement(
            update(SERIES)
            .where(SERIES.c.id == bindparam("series"), SERIES.c.state == bindparam("open"))
            .values(
                last_received_at=bindparam("now"),
                calling_ae_title=bindparam("calling"),
                called_ae_title=bindparam("called"),
            )
            .returning(SERIES.c.generation),
            engine,
        )
        self._touch_study = Statement(
            update(STUDY)
            .where(STUDY.c.id == bindparam("study"))
            .values(last_received_at=bindparam("now")),
            engine,
        )
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        later = {"id", "sha256", "replaced_at"}
        columns: dict[str, object] = {
            column.name: bindparam(column.name)
            for column in INSTANCE.columns
            if column.name not in later
        }
        self._insert = Statement(
            dialect.insert(INSTANCE).values(columns).on_conflict_do_nothing(), engine
        )
        self._path = Statement(
            select(INSTANCE.c.path).where(
                INSTANCE.c.series_id == bindparam("series"),
                INSTANCE.c.sop_instance_uid == bindparam("uid"),
                INSTANCE.c.replaced_at.is_(None),
            ),
            engine,
        )

    def insert(
        self, cursor: Cursor, series_id: int, group: Sequence[Received], now: object
    ) -> list[bool]:
        """Add instances of one series, if it is open; return for each whether it is new."""
        newest = group[-1]
        self._touch_series.run(
            cursor,
            {
                "series": series_id,
                "open": SeriesState.OPEN.value,
                "now": now,
                "calling": newest.calling_ae_title,
                "called": newest.called_ae_title,
            },
        )
        row = cursor.fetchone()
        if row is None:
            return [False] * len(group)
        rows = [_row(one, series_id, row[0], now) for one in group]
        if self._insert.run_many(cursor, rows) == len(group):
            return [True] * len(group)
        return [self._is_there(cursor, series_id, one) for one in group]

    def touch_study(self, cursor: Cursor, study_id: int, now: object) -> None:
        """Note that something came."""
        self._touch_study.run(cursor, {"study": study_id, "now": now})

    def _is_there(self, cursor: Cursor, series_id: int, one: Received) -> bool:
        uid = one.intake.ref.sop_instance_uid
        self._path.run(cursor, {"series": series_id, "uid": uid})
        row = cursor.fetchone()
        return row is not None and row[0] == one.stored.path


def _row(one: Received, series_id: int, generation: int, now: object) -> Mapping[str, object]:
    intake = one.intake
    return {
        "series_id": series_id,
        "sop_instance_uid": intake.ref.sop_instance_uid,
        "sop_class_uid": intake.ref.sop_class_uid,
        "transfer_syntax_uid": intake.transfer_syntax_uid,
        "path": one.stored.path,
        "size_bytes": one.stored.size_bytes,
        "attributes": json.dumps(intake.attributes),
        "pixel_offset": intake.pixel_offset,
        "pixel_length": intake.pixel_length,
        "generation": generation,
        "received_at": now,
    }
