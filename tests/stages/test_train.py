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
from tests import trainer
from tests.labelled import toml, write_pairs

LEASE = timedelta(seconds=30)
LIMIT_SECONDS = 60
STAT_WAITS = timedelta(seconds=2)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'medaet.db'}", durable=False)
    Base.metadata.create_all(opened.engine)
    yield opened
    opened.close()


@pytest.fixture
def runs(database: Database) -> TrainingQueue:
    return TrainingQueue(database, SystemClock())


def _enqueue(runs: TrainingQueue, tmp_path: Path) -> int:
    config = write_pairs(tmp_path, 3) / "train.toml"
    config.write_text(toml())
    raw = load_training(config).model_dump(mode="json")
    return runs.enqueue(name="balls", version="1", configuration=raw, folder=str(tmp_path / "run"))


def _step_until(stage: Train, true: Callable[[], bool], what: str) -> None:
    """Step a stage as its thread would."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < LIMIT_SECONDS, what
        time.sleep(stage.step().total_seconds())


def _state(process_id: int) -> str:
    """Return the state of a process as the kernel has it: T is stopped (proc_pid_stat(5))."""
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]


def _phase(run: Training) -> str:
    return str(run.progress.get("phase"))


def _end(folder: Path, told: str) -> None:
    """Tell the stand-in to end; the file is whole or absent."""
    part = folder / "ended.part"
    part.write_text(told)
    part.rename(folder / "ended")


def test_a_run_yields_its_borrowed_device_to_a_stat_job_and_then_ends(
    runs: TrainingQueue, database: Database, tmp_path: Path
) -> None:
    jobs = JobQueue(database, SystemClock())
    shelf = Shelf.filled(database, jobs, SystemClock().now())
    number = _enqueue(runs, tmp_path)
    stage = Train(runs, ["cpu"], LEASE, borrowed=True, command=trainer.COMMAND)
    try:
        _step_until(stage, lambda: _phase(runs.get(number)) == "training", "it never trained")
        held = stage._held
        assert held is not None
        process = held[1]
        all_of_it = [process.process_id, int(process.status()["child"])]
        shelf.enqueue(shelf.job("urgent", priority=Priority.STAT))
        assert stage.step() < STAT_WAITS
        _step_until(stage, lambda: [*map(_state, all_of_it)] == ["T", "T"], "it was not stopped")
        _step_until(stage, lambda: _phase(runs.get(number)) == "paused", "nobody was told")
        job = jobs.lease("inference", LEASE)
        assert job is not None
        jobs.bury(job.id, "done")
        step = int(runs.get(number).progress["step"])
        _step_until(stage, lambda: runs.get(number).progress["step"] > step, "it never went on")
        assert "T" not in map(_state, all_of_it)
        _end(tmp_path / "run", "0 ")
        _step_until(stage, lambda: runs.get(number).state is TrainingState.DONE, "it never ended")
    finally:
        stage.close()
    assert not process.running


@pytest.mark.parametrize(
    ("told", "state"), [("2 no scan", TrainingState.DEAD), ("1 no memory", TrainingState.READY)]
)
def test_a_run_that_fails_says_why_and_is_buried_when_its_configuration_is_wrong(
    runs: TrainingQueue, tmp_path: Path, told: str, state: TrainingState
) -> None:
    number = _enqueue(runs, tmp_path)
    stage = Train(runs, ["cpu"], LEASE, command=trainer.COMMAND)
    stage.step()
    _end(tmp_path / "run", told)
    _step_until(stage, lambda: runs.get(number).last_error is not None, "its error was not kept")
    assert (runs.get(number).state, runs.get(number).last_error) == (state, told[2:])
    stage.close()


def test_a_stopped_stage_hands_its_run_on_and_leaves_no_process(
    runs: TrainingQueue, tmp_path: Path
) -> None:
    number = _enqueue(runs, tmp_path)
    stage = Train(runs, ["cpu"], LEASE, command=trainer.COMMAND)
    stage.step()
    held = stage._held
    stage.close()
    run = runs.get(number)
    assert held is not None
    assert not held[1].running
    assert (run.state, run.attempt, run.last_attempt) == (TrainingState.READY, 1, 4)


def test_a_run_does_not_begin_while_a_stat_job_wants_the_borrowed_device(
    runs: TrainingQueue, database: Database, tmp_path: Path
) -> None:
    jobs = JobQueue(database, SystemClock())
    shelf = Shelf.filled(database, jobs, SystemClock().now())
    shelf.enqueue(shelf.job("urgent", priority=Priority.STAT))
    number = _enqueue(runs, tmp_path)
    Train(runs, ["cpu"], LEASE, borrowed=True).step()
    assert runs.get(number).state is TrainingState.READY
