"""The statements that run for every instance received, compiled once for the driver."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import Engine, Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from medaet.store.associations import Ending, Sender, begun
from medaet.store.direct import Statement, moment_binder
from medaet.store.engine import Cursor
from medaet.store.instances import INSTANCE, Arrived
from medaet.store.series import SERIES, STUDY
from medaet.store.tables import AssociationRow, SeriesState

ASSOCIATION = cast(Table, AssociationRow.__table__)
FILLED_LATER = frozenset({"id", "sha256", "replaced_at"})


class HotStatements:
    """Writes instances and associations in a transaction of the driver's own."""

    def __init__(self, engine: Engine) -> None:
        insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert
        self._moment = moment_binder(engine.dialect)
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
        columns: dict[str, object] = {
            column.name: bindparam(column.name)
            for column in INSTANCE.columns
            if column.name not in FILLED_LATER
        }
        self._insert = Statement(insert(INSTANCE).values(columns).on_conflict_do_nothing(), engine)
        self._path = Statement(
            select(INSTANCE.c.path).where(
                INSTANCE.c.series_id == bindparam("series"),
                INSTANCE.c.sop_instance_uid == bindparam("uid"),
                INSTANCE.c.replaced_at.is_(None),
            ),
            engine,
        )
        names = begun(Sender("", ""), "", datetime.now(UTC))
        self._begin = Statement(
            insert(ASSOCIATION)
            .values({name: bindparam(name) for name in names})
            .on_conflict_do_nothing(),
            engine,
        )
        self._end = Statement(
            update(ASSOCIATION)
            .where(ASSOCIATION.c.id == bindparam("key"), ASSOCIATION.c.ended_at.is_(None))
            .values(
                ended_at=bindparam("now"),
                outcome=bindparam("how"),
                stored=bindparam("kept"),
                refused=bindparam("turned"),
                size_bytes=bindparam("brought"),
            ),
            engine,
        )

    def insert(
        self, cursor: Cursor, series_id: int, group: Sequence[Arrived], now: datetime
    ) -> list[bool]:
        """Add instances of one series, if it is open; return for each whether it is new."""
        moment = self._moment(now)
        sender = group[-1].sender
        self._touch_series.run(
            cursor,
            {
                "series": series_id,
                "open": SeriesState.OPEN.value,
                "now": moment,
                "calling": sender.calling_ae_title,
                "called": sender.called_ae_title,
            },
        )
        row = cursor.fetchone()
        if row is None:
            return [False] * len(group)
        rows = [_row(one, series_id, row[0], moment) for one in group]
        if self._insert.run_many(cursor, rows) == len(group):
            return [True] * len(group)
        return [self._is_there(cursor, series_id, one) for one in group]

    def touch_study(self, cursor: Cursor, study_id: int, now: datetime) -> None:
        """Note that something came."""
        self._touch_study.run(cursor, {"study": study_id, "now": self._moment(now)})

    def begin(self, cursor: Cursor, sender: Sender, receiver: str, now: datetime) -> None:
        """Write an association's row with the first instance that it brings."""
        if receiver:
            values = begun(sender, receiver, now)
            self._begin.run(cursor, {**values, "started_at": self._moment(now)})

    def end(self, cursor: Cursor, sender: Sender, ending: Ending, now: datetime) -> None:
        """Note how an association ended."""
        self._end.run(
            cursor,
            {
                "key": sender.association_id,
                "now": self._moment(now),
                "how": ending.outcome.value,
                "kept": ending.stored,
                "turned": ending.refused,
                "brought": ending.size_bytes,
            },
        )

    def _is_there(self, cursor: Cursor, series_id: int, one: Arrived) -> bool:
        uid = one.intake.ref.sop_instance_uid
        self._path.run(cursor, {"series": series_id, "uid": uid})
        row = cursor.fetchone()
        return row is not None and row[0] == one.stored.path


def _row(one: Arrived, series_id: int, generation: int, moment: object) -> Mapping[str, object]:
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
        "association_id": one.sender.association_id,
        "generation": generation,
        "received_at": moment,
    }
