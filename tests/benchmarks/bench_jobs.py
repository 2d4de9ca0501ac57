"""What a warm job costs beside its network, and how long a device rests between two jobs.

Jobs of `chest-ct` on the bundled chest CT go through the daemon's own lanes, child and encoder, on synced SQLite.
"""

import contextlib
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from rich.console import Console
from rich.table import Table

from medaet.clock import SystemClock
from medaet.config.model import Config, WorkerSection
from medaet.demo.scans import ScanName, write_scan
from medaet.network.spooling import SpoolSink
from medaet.plugin.analysis import weights_sha256
from medaet.plugin.registry import discover
from medaet.queue.jobs import JobQueue, NewJob
from medaet.store import migrate
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.tables import JobState
from medaet.testing.work import store
from medaet.worker.child import WorkerChild
from medaet.worker.protocol import Message
from medaet_daemon import stage
from medaet_daemon.analyse import Analyse
from medaet_daemon.encode import Encode
from medaet_daemon.inputs import Inputs
from medaet_daemon.lane import lanes
from medaet_daemon.plans import PeerPlans

JOBS = 7
WARM_UP = 2
ANALYSIS: ScanName = "chest-ct"


class TimedChild(WorkerChild):
    """Notes when the child begins and ends to compute, and what each run gave."""

    def __init__(self, cache: Path) -> None:
        super().__init__("cpu", cache=cache)
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.facts: list[Message] = []

    def _on_message(self, message: Message) -> None:
        now = time.perf_counter()
        if message["kind"] == "began":
            self.begun.append(now)
        elif message["kind"] == "computed":
            self.ended.append(now)
        elif message["kind"] == "findings":
            self.facts.append(message)
        super()._on_message(message)


class TimedStage:
    """A stage that notes when it ends a job, and what all of it took."""

    def __init__(self, inner: Analyse | Encode) -> None:
        self.name = inner.name
        self.seconds: list[float] = []
        self.processor: list[float] = []
        self._inner = inner
        for optional in ("drain", "close"):
            if hasattr(inner, optional):
                setattr(self, optional, getattr(inner, optional))

    def step(self) -> object:
        started, used = time.perf_counter(), time.process_time()
        wait = self._inner.step()
        if not wait:
            self.seconds.append(time.perf_counter() - started)
            self.processor.append(time.process_time() - used)
        return wait


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Database, Spool, JobQueue, InstanceStore]]:
    url = f"sqlite:///{tmp_path / 'medaet.db'}"
    migrate.upgrade(url)
    with contextlib.closing(Database(url)) as database:
        clock = SystemClock()
        instances, spool = InstanceStore(database, clock), Spool(tmp_path / "spool")
        for path in write_scan(ANALYSIS, tmp_path / "ct"):
            recorded = store(path, SpoolSink(spool, database, clock))
        jobs, analysis = JobQueue(database, clock), discover().analyses[ANALYSIS]
        with database.write() as session:
            for number in range(JOBS):
                new = NewJob(
                    key=f"job {number}",
                    study_id=recorded.study_id,
                    analysis=ANALYSIS,
                    analysis_version=analysis.version,
                    weights_sha256=weights_sha256(analysis),
                    inputs={"ct": (recorded.series_id, 1)},
                    send_to=[],
                )
                assert jobs.enqueue(session, new) is not None
        yield database, spool, jobs, instances


def test_jobs(site: tuple[Database, Spool, JobQueue, InstanceStore], tmp_path: Path) -> None:
    """Overhead of a job alone, then the gap between jobs in the lanes."""
    _, spool, jobs, instances = site
    registry, clock = discover(), SystemClock()
    child = TimedChild(tmp_path / "cache")
    encode = TimedStage(
        Encode(Inputs(instances, spool, registry), spool, jobs, registry, PeerPlans(Config()))
    )
    laid = [
        Analyse(Inputs(instances, spool, registry), spool, jobs, WorkerSection(), lane, clock)
        for lane in lanes(child)
    ]
    alone = TimedStage(laid[0])
    for _ in range(WARM_UP + 2):  # one after the other, nothing beside it
        alone.step()
        encode.step()
    in_child = [
        float(one["analyse_seconds"]) - float(one["network_seconds"]) for one in child.facts
    ]
    networks = [float(one["network_seconds"]) for one in child.facts]
    overhead = [
        analysed + encoded - network
        for analysed, encoded, network in zip(alone.seconds, encode.seconds, networks, strict=True)
    ][WARM_UP:]
    before = len(child.begun)
    _in_lanes(laid, jobs)
    gaps = [
        begun - ended
        for begun, ended in zip(child.begun[before + 1 :], child.ended[before:], strict=False)
    ]
    table = Table(title=f"{ANALYSIS}, 512 x 512 x 48, CPU")
    for column in ("", "median ms", "least", "most"):
        table.add_column(column)
    for name, values in (
        ("network", networks[WARM_UP:]),
        (
            "analyse stage (claim, read, transfer, network, findings, commit)",
            alone.seconds[WARM_UP:],
        ),
        ("encode stage (read, SEG, SR, proof, preview, commit)", encode.seconds[WARM_UP:]),
        ("all but the network", overhead),
        ("  of it in the child: resampling, labels, the plugin's own work", in_child[WARM_UP:]),
        ("  processor time of the agent while analysing", alone.processor[WARM_UP:]),
        ("  processor time while encoding", encode.processor[WARM_UP:]),
        ("end of a job to the beginning of the next", gaps),
    ):
        middle = f"{1000 * statistics.median(values):.0f}"
        table.add_row(name, middle, f"{1000 * min(values):.0f}", f"{1000 * max(values):.0f}")
    Console(width=120).print(table)


def _in_lanes(laid: list[Analyse], jobs: JobQueue) -> None:
    """Let all lanes work until no job is left."""
    stopping = Event()
    threads = [Thread(target=stage.run, args=(one, stopping)) for one in laid]
    for thread in threads:
        thread.start()
    while any(one.state in (JobState.READY, JobState.LEASED) for one in jobs.list(limit=JOBS)):
        time.sleep(0.05)
    stopping.set()
    for one in laid:
        one.drain()
    for thread in threads:
        thread.join()
    for one in laid:
        one.close()
