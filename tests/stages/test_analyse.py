"""The worker agent: what a job becomes when its analysis answers, fails, is too slow, or belongs to somebody else."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from medaet import Findings, Segment
from medaet.codes import LUNG
from medaet.config.model import WorkerSection
from medaet.errors import AnalysisError, ChildCrashedError, MedaetError, WithdrawnError
from medaet.plugin import folder
from medaet.plugin.registry import Registry
from medaet.queue.jobs import JobQueue
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.tables import JobState
from medaet.testing.clock import FakeClock
from medaet.testing.phantom import write_series
from medaet.testing.work import Work
from medaet.worker.child import WorkerChild
from medaet.worker.request import Request, Run
from medaet.worker.ticket import Ticket
from medaet_daemon.analyse import Analyse
from medaet_daemon.inputs import Inputs
from medaet_daemon.lane import Lane, lanes


class ScriptedChild(WorkerChild):
    """Does in this process what a test says, where the real one would ask another process."""

    def __init__(self, script: Callable[[], None] = lambda: None) -> None:
        super().__init__("cpu")
        self._script = script

    def analyse(self, request: Request, *, on_alive: Callable[[], None] = lambda: None) -> Run:
        self._script()
        on_alive()
        findings = Findings([Segment("Above", request.inputs["ct"].voxels > 0, LUNG)])
        folder.save(findings, request.where)
        return Run(findings, 0.0, 0.1, computed={"engine": "abacus"})


@pytest.fixture
def work(tmp_path: Path, spool: Spool, instances: InstanceStore, jobs: JobQueue) -> Work:
    return Work.received(write_series(tmp_path / "ct"), spool, instances, jobs)


def _stage(work: Work, clock: FakeClock, child: WorkerChild) -> Analyse:
    rules = WorkerSection(job_timeout_seconds=60, lease_seconds=30)
    inputs = Inputs(work.instances, work.spool, Registry(analyses={}))
    return Analyse(inputs, work.spool, work.jobs, rules, Lane(child), clock)


def _raises(error: Exception) -> ScriptedChild:
    def script() -> None:
        raise error

    return ScriptedChild(script)


def test_nothing_to_do_costs_nothing(
    spool: Spool, instances: InstanceStore, jobs: JobQueue, clock: FakeClock
) -> None:
    inputs = Inputs(instances, spool, Registry(analyses={}))
    stage = Analyse(inputs, spool, jobs, WorkerSection(), Lane(ScriptedChild()), clock)
    assert stage.step() > timedelta(0)


def test_findings_of_a_real_child_are_kept(work: Work, clock: FakeClock) -> None:
    child = WorkerChild("cpu", ["medaet.testing.plugin_zoo"])
    stage = _stage(work, clock, child)
    try:
        stage.step()
    finally:
        stage.close()
    job = work.job()
    assert job.state is JobState.ANALYSED
    where = work.spool.path(str(job.findings_path))
    (segment,) = folder.load(where).segments
    assert np.array_equal(segment.mask, work.volume.voxels > 0)
    facts = json.loads((where / "run.json").read_text())
    assert facts["device"] == "cpu"
    assert facts["seconds"] > 0


def test_scratch_is_removed(work: Work, clock: FakeClock) -> None:
    _stage(work, clock, ScriptedChild()).step()
    assert not list((work.spool.root / "work").rglob("*.npy"))


@pytest.mark.parametrize("error", [ChildCrashedError("it ended"), AnalysisError("it raised")])
def test_trouble_costs_one_attempt_and_the_last_one_buries(
    work: Work, clock: FakeClock, error: MedaetError
) -> None:
    stage = _stage(work, clock, _raises(error))
    for attempt in (1, 2):
        stage.step()
        job = work.job()
        assert (job.state, job.attempt, job.last_error) == (JobState.READY, attempt, str(error))
        clock.advance(timedelta(hours=1))
    stage.step()
    assert work.job().state is JobState.DEAD


def test_defect_is_told_without_its_message(work: Work, clock: FakeClock) -> None:
    _stage(work, clock, _raises(ZeroDivisionError("Doe^Jane"))).step()
    job = work.job()
    assert job.state is JobState.READY
    assert "ZeroDivisionError" in str(job.last_error)
    assert "Doe" not in str(job.last_error)


def test_series_that_is_no_volume_buries_the_job_at_once(
    tmp_path: Path, spool: Spool, instances: InstanceStore, jobs: JobQueue, clock: FakeClock
) -> None:
    paths = write_series(tmp_path / "ct")
    work = Work.received(paths, spool, instances, jobs)
    stored = [spool.path(path) for path in instances.paths(work.job().inputs["ct"].series_id)]
    stored[3].write_bytes(stored[2].read_bytes())
    _stage(work, clock, ScriptedChild()).step()
    job = work.job()
    assert (job.state, job.error_class) == (JobState.DEAD, "GeometryError")


def test_findings_of_a_lost_lease_are_dropped(work: Work, clock: FakeClock) -> None:
    def another_takes_over() -> None:
        clock.advance(timedelta(minutes=1))
        work.jobs.rescue()
        assert work.jobs.lease("another", timedelta(minutes=1)) is not None

    _stage(work, clock, ScriptedChild(another_takes_over)).step()
    job = work.job()
    assert (job.state, job.attempt, job.leased_by) == (JobState.LEASED, 2, "another")
    assert job.findings_path is None


def test_a_job_that_was_not_begun_when_the_worker_stops_costs_nothing(
    work: Work, clock: FakeClock
) -> None:
    _stage(work, clock, _raises(WithdrawnError("the worker stops"))).step()
    job = work.job()
    assert (job.state, job.last_attempt) == (JobState.READY, 4)


def test_how_networks_were_computed_is_kept_for_the_report(work: Work, clock: FakeClock) -> None:
    _stage(work, clock, ScriptedChild()).step()
    where = work.spool.path(str(work.job().findings_path))
    facts = json.loads((where / "run.json").read_text())
    assert facts["computed"] == {"engine": "abacus"}


def test_a_busy_device_leaves_new_jobs_to_idle_ones(work: Work, clock: FakeClock) -> None:
    child = ScriptedChild()
    stage = _stage(work, clock, child)
    child._tickets[1] = Ticket(1)
    stage.step()
    assert work.job().state is JobState.READY
    clock.advance(timedelta(seconds=2))
    stage.step()
    assert work.job().state is JobState.ANALYSED


def test_the_urgent_lane_takes_urgent_jobs_alone(work: Work, clock: FakeClock) -> None:
    rules = WorkerSection()
    inputs = Inputs(work.instances, work.spool, Registry(analyses={}))
    lane = lanes(ScriptedChild())[-1]
    Analyse(inputs, work.spool, work.jobs, rules, lane, clock).step()
    assert work.job().state is JobState.READY
