"""The stage that trains: a run from the queue, paused for a STAT job, handed on when the daemon stops."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from medaet.clock import SystemClock
from medaet.config.training import load_training
from medaet.queue.jobs import JobQueue
from medaet.queue.trainings import Training, TrainingQueue, TrainingState
from medaet.store.engine import Database
from medaet.store.tables import Base, Priority
from medaet.testing.rows import Shelf
from medaet_daemon.train import Train
from tests.labelled import toml, write_pairs

LEASE = timedelta(seconds=30)
LIMIT_SECONDS = 250
STAT_SECONDS = 2.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'medaet.db'}", durable=False)
    Base.metadata.create_all(opened.engine)
    yield opened
    opened.close()


@pytest.fixture
def runs(database: Database) -> TrainingQueue:
    return TrainingQueue(database, SystemClock())


def _enqueue(runs: TrainingQueue, tmp_path: Path, *, steps: int, data: str = ".") -> int:
    config = write_pairs(tmp_path, 3) / "train.toml"
    config.write_text(toml(data, epochs=2, steps=steps) + "checkpoint_seconds = 0.5\n")
    raw = load_training(config).model_dump(mode="json")
    return runs.enqueue(name="balls", version="1", configuration=raw, folder=str(tmp_path / "run"))


def _step_until(stage: Train, true: Callable[[], bool], what: str) -> float:
    """Step a stage as its thread would; return the seconds it took."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < LIMIT_SECONDS, what
        time.sleep(stage.step().total_seconds())
    return time.monotonic() - started


def _state(process_id: int) -> str:
    """Return the state of a process as the kernel has it: T is stopped (proc_pid_stat(5))."""
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]


def _phase(run: Training) -> str:
    return str(run.progress.get("phase"))


@pytest.mark.slow
def test_a_run_yields_its_borrowed_device_to_a_stat_job_and_then_ends(
    runs: TrainingQueue, database: Database, tmp_path: Path
) -> None:
    jobs = JobQueue(database, SystemClock())
    shelf = Shelf.filled(database, jobs, SystemClock().now())
    number = _enqueue(runs, tmp_path, steps=30)
    stage = Train(runs, ["cpu"], LEASE, borrowed=True)
    try:
        _step_until(stage, lambda: _phase(runs.get(number)) == "training", "it never trained")
        held = stage._held
        assert held is not None
        process = held[1]
        shelf.enqueue(shelf.job("urgent", priority=Priority.STAT))
        assert (
            _step_until(stage, lambda: _state(process.process_id) == "T", "paused") < STAT_SECONDS
        )
        _step_until(stage, lambda: _phase(runs.get(number)) == "paused", "nobody was told")
        job = jobs.lease("inference", LEASE)
        assert job is not None
        jobs.bury(job.id, "done")
        _step_until(stage, lambda: runs.get(number).state is TrainingState.DONE, "it never ended")
    finally:
        stage.close()
    assert (tmp_path / "run" / "model" / "training.json").is_file()
    assert not process.running


@pytest.mark.slow
def test_a_stopped_stage_hands_its_run_on_and_leaves_no_process(
    runs: TrainingQueue, tmp_path: Path
) -> None:
    number = _enqueue(runs, tmp_path, steps=1000)
    stage = Train(runs, ["cpu"], LEASE)
    _step_until(stage, lambda: runs.get(number).progress.get("step", 0) > 2, "it never trained")
    held = stage._held
    stage.close()
    run = runs.get(number)
    assert held is not None
    assert not held[1].running
    assert (run.state, run.attempt, run.last_attempt) == (TrainingState.READY, 1, 4)
    assert (tmp_path / "run" / "checkpoint.pt").exists()


@pytest.mark.slow
def test_a_run_without_its_data_is_buried_with_the_reason(
    runs: TrainingQueue, tmp_path: Path
) -> None:
    number = _enqueue(runs, tmp_path, steps=2, data="nowhere")
    stage = Train(runs, ["cpu"], LEASE)
    _step_until(stage, lambda: runs.get(number).state is TrainingState.DEAD, "it was not buried")
    assert "nowhere" in str(runs.get(number).last_error)


def test_a_run_does_not_begin_while_a_stat_job_wants_the_borrowed_device(
    runs: TrainingQueue, database: Database, tmp_path: Path
) -> None:
    jobs = JobQueue(database, SystemClock())
    shelf = Shelf.filled(database, jobs, SystemClock().now())
    shelf.enqueue(shelf.job("urgent", priority=Priority.STAT))
    number = _enqueue(runs, tmp_path, steps=2)
    Train(runs, ["cpu"], LEASE, borrowed=True).step()
    assert runs.get(number).state is TrainingState.READY
