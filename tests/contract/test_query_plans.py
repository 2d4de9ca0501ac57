"""Idle workers ask often: what they ask must be answered from the indexes of what is under way, not from history."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.tables import Base
from medaet.testing.clock import FakeClock

LEASE = timedelta(seconds=30)


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda jobs, _: jobs.lease("w", LEASE), "ix_job_waiting"),
        (lambda jobs, _: jobs.lease_encoding("w", LEASE), "ix_job_waiting"),
        (lambda jobs, _: jobs.rescue(), "ix_job_waiting"),
        (lambda _, deliveries: deliveries.lease_batch("w", LEASE), "ix_delivery_waiting"),
        (lambda _, deliveries: deliveries.rescue(), "ix_delivery_waiting"),
    ],
    ids=["lease", "lease_encoding", "rescue", "lease_batch", "rescue_deliveries"],
)
def test_sqlite_looks_only_at_what_is_under_way(
    tmp_path: Path, ask: Callable[[JobQueue, DeliveryQueue], object], index: str
) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'medaet.db'}")) as database:
        Base.metadata.create_all(database.engine)
        asked: list[tuple[str, tuple[object, ...]]] = []
        event.listen(
            database.engine,
            "before_cursor_execute",
            lambda _c, _cursor, statement, parameters, *_: asked.append((statement, parameters)),
        )
        ask(JobQueue(database, FakeClock()), DeliveryQueue(database, FakeClock()))
        selects = [one for one in asked if one[0].startswith("SELECT")]
        assert selects
        with closing(database.engine.raw_connection()) as connection:
            for statement, parameters in selects:
                cursor = connection.cursor()
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plan = " ".join(str(row) for row in cursor.fetchall())
                assert index in plan
