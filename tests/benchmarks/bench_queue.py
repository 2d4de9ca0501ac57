"""What a job costs the queue, in a table with few and with many rows: leasing must not slow down as history grows."""

import contextlib
import statistics
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert

from medaet.clock import SystemClock
from medaet.queue.jobs import JobQueue
from medaet.store import migrate
from medaet.store.engine import Database
from medaet.store.tables import JobRow, JobState
from medaet.testing.rows import Shelf
from tests.benchmarks.rounds import interleaved, show

FEW, MANY = 1_000, 200_000
CYCLES = 100
LEASE = timedelta(seconds=30)


@contextlib.contextmanager
def _filled(url: str, rows: int) -> Iterator[Shelf]:
    """Fill a table with finished jobs."""
    migrate.upgrade(url)
    clock = SystemClock()
    with contextlib.closing(Database(url)) as database:
        shelf = Shelf.filled(database, JobQueue(database, clock), clock.now())
        values = [
            {
                "key": f"old {number}",
                "study_id": shelf.study_id,
                "analysis": "lungs",
                "analysis_version": "1",
                "weights_sha256": "",
                "settings": {},
                "send_to": [],
                "state": JobState.DONE,
                "created_at": clock.now(),
                "due_at": clock.now(),
            }
            for number in range(rows)
        ]
        with database.write() as session:
            session.execute(insert(JobRow), values)
        yield shelf


def _cycles(shelf: Shelf) -> None:
    """Enqueue, lease and bury jobs: three transactions each."""
    start = shelf.queue.list(limit=1)[0].id
    for number in range(CYCLES):
        shelf.enqueue(shelf.job(f"new {start} {number}"))
        job = shelf.queue.lease("bench", LEASE)
        assert job is not None
        shelf.queue.bury(job.id, "measured")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_cost_of_a_job(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with contextlib.ExitStack() as stack:
        cases = {}
        for rows in (FEW, MANY):
            url = f"sqlite:///{tmp_path / f'{rows}.db'}"
            if kind == "postgres":
                url = request.getfixturevalue("cluster").create(f"bench_{rows}")
            shelf = stack.enter_context(_filled(url, rows))
            cases[f"{kind}, {rows} rows"] = partial(_cycles, shelf)
        seconds = interleaved(cases)
    show(f"{CYCLES} jobs enqueued, leased, ended", seconds, reference=f"{kind}, {FEW} rows")
    few, many = (statistics.median(seconds[f"{kind}, {rows} rows"]) for rows in (FEW, MANY))
    assert many / few < 3
