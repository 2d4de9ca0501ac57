"""The queue of training runs, on both databases."""

from datetime import timedelta

import pytest

from medaet.errors import ConfigError, LeaseLostError, PermanentError, TrainingError
from medaet.queue.jobs import JobQueue
from medaet.queue.trainings import TrainingQueue, TrainingState
from medaet.store.engine import Database
from medaet.store.tables import Priority
from medaet.testing.clock import FakeClock
from medaet.testing.rows import Shelf

LEASE = timedelta(seconds=30)


@pytest.fixture
def runs(database: Database, clock: FakeClock) -> TrainingQueue:
    return TrainingQueue(database, clock, maximum_attempts=2)


def _enqueue(runs: TrainingQueue, folder: str = "/runs/a") -> int:
    return runs.enqueue(name="lungs", version="1", configuration={"seed": 3}, folder=folder)


def test_lease_takes_the_oldest_run_once(runs: TrainingQueue) -> None:
    first, second = _enqueue(runs), _enqueue(runs, "/runs/b")
    one, two = runs.lease("a", LEASE), runs.lease("b", LEASE)
    assert one is not None
    assert two is not None
    assert (one.id, two.id) == (first, second)
    assert one.configuration == {"seed": 3}
    assert runs.lease("c", LEASE) is None


def test_enqueue_refuses_a_folder_that_another_run_works_in(runs: TrainingQueue) -> None:
    _enqueue(runs)
    with pytest.raises(PermanentError, match="/runs/a"):
        _enqueue(runs)


def test_a_silent_holder_loses_the_run_to_the_next(runs: TrainingQueue, clock: FakeClock) -> None:
    _enqueue(runs)
    silent = runs.lease("a", LEASE)
    clock.at += LEASE * 2
    taken = runs.lease("b", LEASE)
    assert silent is not None
    assert taken is not None
    assert taken.attempt == 2
    with pytest.raises(LeaseLostError):
        runs.report(silent, {}, LEASE)
    runs.report(taken, {"step": 7}, LEASE)
    assert runs.get(taken.id).progress == {"step": 7}


def test_a_run_that_takes_its_holder_down_each_time_is_buried(
    runs: TrainingQueue, clock: FakeClock
) -> None:
    number = _enqueue(runs)
    for _ in range(2):
        assert runs.lease("a", LEASE) is not None
        clock.at += LEASE * 2
    assert runs.lease("a", LEASE) is None
    assert runs.get(number).state is TrainingState.DEAD


def test_a_failed_run_waits_and_then_goes_on(runs: TrainingQueue, clock: FakeClock) -> None:
    _enqueue(runs)
    run = runs.lease("a", LEASE)
    assert run is not None
    runs.fail(run, TrainingError("the device is gone"))
    assert runs.lease("a", LEASE) is None
    clock.at += timedelta(hours=1)
    again = runs.lease("a", LEASE)
    assert again is not None
    runs.fail(again, TrainingError("the device is gone"))
    assert runs.get(run.id).state is TrainingState.DEAD


def test_a_wrong_configuration_buries_a_run_at_once_until_a_person_retries(
    runs: TrainingQueue,
) -> None:
    number = _enqueue(runs)
    run = runs.lease("a", LEASE)
    assert run is not None
    runs.fail(run, ConfigError("no labels"))
    dead = runs.get(number)
    assert (dead.state, dead.last_error) == (TrainingState.DEAD, "no labels")
    runs.requeue(number)
    assert runs.lease("a", LEASE) is not None


def test_handing_back_costs_no_attempt(runs: TrainingQueue) -> None:
    _enqueue(runs)
    for _ in range(5):
        run = runs.lease("a", LEASE)
        assert run is not None
        runs.hand_back(run)
    left = runs.list()[0]
    assert left.last_attempt - left.attempt == 2


def test_burying_takes_the_run_from_its_holder(runs: TrainingQueue) -> None:
    number = _enqueue(runs)
    run = runs.lease("a", LEASE)
    assert run is not None
    runs.bury(number, "a person said so")
    with pytest.raises(LeaseLostError):
        runs.complete(run)


def test_a_stat_job_is_seen_while_it_waits_and_while_it_runs(
    runs: TrainingQueue, database: Database, clock: FakeClock
) -> None:
    jobs = JobQueue(database, clock)
    shelf = Shelf.filled(database, jobs, clock.now())
    shelf.enqueue(shelf.job("routine"))
    assert not runs.stat_job_waits()
    shelf.enqueue(shelf.job("urgent", priority=Priority.STAT))
    assert runs.stat_job_waits()
    held = jobs.lease("a", LEASE)
    assert held is not None
    assert runs.stat_job_waits()
    jobs.bury(held.id, "done")
    assert not runs.stat_job_waits()
