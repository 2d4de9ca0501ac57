"""What a job costs the queue on SQLite, in a table with few and with many finished jobs."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import insert

from medaet.bench.compared import OURS, Say, as_key, compared
from medaet.bench.report import Report
from medaet.clock import SystemClock
from medaet.queue.jobs import JobQueue
from medaet.store import migrate
from medaet.store.engine import Database
from medaet.store.tables import JobRow, JobState
from medaet.testing.rows import Shelf

FEW, MANY, QUICK_MANY = 1_000, 200_000, 20_000
LATER = "medaet later"
CYCLES = 100
LEASE = timedelta(seconds=30)


def queue(*, quick: bool = False, rounds: int = 3, say: Say) -> Report:
    """Measure jobs that are enqueued, leased and ended, three transactions each, early and late in a table's life.

    Args:
        quick: Fewer rows.
        rounds: How often each table is measured.
        say: Told what runs now.
    """
    many = QUICK_MANY if quick else MANY
    with (
        tempfile.TemporaryDirectory(prefix="medaet-bench-") as folder,
        contextlib.ExitStack() as stack,
    ):
        ways = {}
        for name, rows in ((OURS, FEW), (LATER, many)):
            say(f"filling a table with {rows:,} jobs")
            shelf = stack.enter_context(filled(f"sqlite:///{Path(folder) / f'{rows}.db'}", rows))
            ways[name] = partial(cycles, shelf)
        case = f"{CYCLES} jobs on SQLite, after {FEW:,} others and after {many:,}"
        told = compared("queue", case, ways, rounds, say, amount=("jobs_a_second", CYCLES))
    return replace(
        told, ratios={case: {"cost_of_history": told.ratios[case][f"speed_vs_{as_key(LATER)}"]}}
    )


@contextlib.contextmanager
def filled(url: str, rows: int) -> Iterator[Shelf]:
    """Make a database with so many finished jobs."""
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


def cycles(shelf: Shelf) -> None:
    """Enqueue, lease and bury jobs."""
    start = shelf.queue.list(limit=1)[0].id
    for number in range(CYCLES):
        shelf.enqueue(shelf.job(f"new {start} {number}"))
        job = shelf.queue.lease("bench", LEASE)
        assert job is not None
        shelf.queue.bury(job.id, "measured")
