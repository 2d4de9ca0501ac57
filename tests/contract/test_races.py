"""Several workers at once: threads and processes, on SQLite and on PostgreSQL."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from medaet.clock import SystemClock
from medaet.errors import LeaseLostError
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import Job, JobQueue
from medaet.store.engine import Database
from medaet.store.studies import StudyStore
from medaet.store.tables import JobState
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE, Shelf

THREADS = 4
JOBS = 30
HOUR = timedelta(hours=1)
PROCESS_SECONDS = 120

LEASE_ALL = """
import json, sys
from datetime import timedelta
from medaet.clock import SystemClock
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
queue = JobQueue(Database(sys.argv[1], durable=False), SystemClock())
found = []
print("ready", flush=True)
sys.stdin.readline()
while (job := queue.lease(sys.argv[2], timedelta(hours=1))) is not None:
    found.append(job.id)
    queue.complete(job, findings_path="f", device="cpu")
print(json.dumps(found))
"""

RECORD_ALL = """
import json, sys
from medaet.clock import SystemClock
from medaet.store.engine import Database
from medaet.store.instances import InstanceStore
from medaet.testing.rows import arrived, header, stored
instances = InstanceStore(Database(sys.argv[1], durable=False), SystemClock())
print("ready", flush=True)
sys.stdin.readline()
found = []
for number in range(10):
    for study in (1, 2):
        recorded = instances.record(arrived(header(number, study=study), b"%d" % number, sender=sys.argv[2]))
        found.append(recorded.is_new)
print(json.dumps(found))
"""


def _in_threads(work: Callable[[int], list[int]]) -> list[list[int]]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, range(THREADS)))


def _in_processes(script: str, url: str) -> list[list[int]]:
    """Start a script in two processes, let both go at the same moment, and read what they print."""
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", script, url, name],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for name in ("one", "two")
        ]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        printed = [process.communicate(timeout=PROCESS_SECONDS)[0] for process in started]
        assert [process.returncode for process in started] == [0, 0]
        return [json.loads(one) for one in printed]


def _fill(shelf: Shelf) -> set[int]:
    """Enqueue many jobs in one transaction."""
    with shelf.database.write() as session:
        enqueued = {shelf.queue.enqueue(session, shelf.job(str(n))) for n in range(JOBS)}
    return {one for one in enqueued if one is not None}


def test_threads_never_lease_the_same_job(shelf: Shelf, queue: JobQueue) -> None:
    jobs = _fill(shelf)

    def lease_all(worker: int) -> list[int]:
        found = []
        while (job := queue.lease(f"worker-{worker}", LEASE)) is not None:
            found.append(job.id)
        return found

    leased = [job_id for found in _in_threads(lease_all) for job_id in found]
    assert sorted(leased) == sorted(jobs)


def test_processes_never_lease_the_same_job(
    shelf: Shelf, queue: JobQueue, database_url: str
) -> None:
    jobs = _fill(shelf)
    leased = [job_id for found in _in_processes(LEASE_ALL, database_url) for job_id in found]
    assert sorted(leased) == sorted(jobs)
    assert {job.state for job in queue.list()} == {JobState.ANALYSED}
    assert {job.attempt for job in queue.list()} == {1}


def test_threads_never_lease_the_same_delivery(shelf: Shelf, deliveries: DeliveryQueue) -> None:
    shelf.enqueue(shelf.job(send_to=["a", "b", "c"]))
    shelf.done(*(f"1.2.{n}" for n in range(JOBS)))

    def lease_all(worker: int) -> list[int]:
        found: list[int] = []
        while batch := deliveries.lease_batch(f"sender-{worker}", LEASE, 4):
            assert len({one.peer for one in batch}) == 1
            found += [one.id for one in batch]
        return found

    leased = [one for found in _in_threads(lease_all) for one in found]
    assert sorted(leased) == sorted(one.id for one in deliveries.list(limit=1000))


def test_a_completion_and_a_rescue_cannot_both_win(
    shelf: Shelf, queue: JobQueue, clock: FakeClock
) -> None:
    _fill(shelf)
    jobs = [shelf.leased() for _ in range(JOBS)]
    clock.advance(HOUR)
    completed: list[int] = []

    def complete(job: Job) -> None:
        try:
            queue.complete(job, findings_path="f", device="cpu")
        except LeaseLostError:
            return
        completed.append(job.id)

    def race(worker: int) -> list[int]:
        if worker == 0:
            return [queue.rescue()]
        for job in jobs[worker - 1 :: THREADS - 1]:
            complete(job)
        return [0]

    rescued = sum(count for found in _in_threads(race) for count in found)
    assert rescued + len(completed) == JOBS
    states = {job.id: job.state for job in queue.list()}
    assert {one for one in states if states[one] is JobState.ANALYSED} == set(completed)
    assert list(states.values()).count(JobState.READY) == rescued


def test_threads_enqueue_the_same_work_once(shelf: Shelf, queue: JobQueue) -> None:
    def enqueue(_: int) -> list[int]:
        found = [shelf.enqueue(shelf.job(str(n))) for n in range(10)]
        return [one for one in found if one is not None]

    enqueued = [one for found in _in_threads(enqueue) for one in found]
    assert sorted(enqueued) == sorted(job.id for job in queue.list())
    assert len(enqueued) == 10


def test_processes_record_the_same_instances_once(database: Database, database_url: str) -> None:
    one, two = _in_processes(RECORD_ALL, database_url)
    assert sum(one) + sum(two) == 20
    assert [study.instances for study in StudyStore(database, SystemClock()).list()] == [10, 10]
