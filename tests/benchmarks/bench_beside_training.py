"""Inference beside training: on cores of its own, and on a device that training lends back to an urgent job.

The training process is the real one, at work on patches and channels of a real network's size; it is stopped and let go
between the rounds, a few seconds each, so that both cases see the same machine. A third case is alone as well: how far
it is from the first is what the machine itself does to such figures. Two disjoint sets of CPU cores stand in for two
devices.
"""

import os
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from medaet.clock import SystemClock
from medaet.compute.trained.network import build
from medaet.compute.trained.plan import Plan
from medaet.config.training import load_training
from medaet.queue.jobs import JobQueue
from medaet.queue.trainings import TrainingQueue
from medaet.store.engine import Database
from medaet.store.tables import Base, Priority
from medaet.testing.rows import Shelf
from medaet.worker.training import TrainingProcess
from medaet_daemon.train import Train
from tests.benchmarks.rounds import interleaved, show
from tests.labelled import write_pairs

ROUNDS, WINDOWS, LEASE = 25, 6, timedelta(minutes=10)
STAT_ROUNDS = 15
ALONE, AGAIN, BESIDE = "alone", "alone again", "beside training"
WINDOW = (32, 96, 96)
TRAINED = """
name = "lungs"
modality = "CT"
precisions = []
[[data]]
kind = "pairs"
path = "."
[plan]
channels = [8, 16, 32, 64]
patch = [32, 96, 96]
spacing_mm = [0.5, 0.3, 0.3]
[training]
epochs = 10000
steps_per_epoch = 50
"""
PLAN = Plan(
    modality="CT",
    structures=("Lung",),
    spacing_mm=(5.0, 2.5, 2.5),
    patch=WINDOW,
    batch=1,
    steps_per_epoch=1,
    network="unet",
    channels=(8, 16, 32, 64),
    strides=((1, 2, 2), (2, 2, 2), (2, 2, 2)),
    norm="batch",
    intensity=(-1000.0, 400.0),
    mirror=(),
    parts=(0,),
)


def _config(folder: Path) -> Path:
    config = write_pairs(folder, 3) / "train.toml"
    config.write_text(TRAINED)
    return config


def _await_steps(process: TrainingProcess) -> None:
    """Wait until a run computes."""
    while process.status().get("step", 0) < 2:
        assert process.running
        time.sleep(0.2)


@pytest.fixture
def two_cores() -> Iterator[tuple[int, int]]:
    """Keep this process to one core, and give a second one."""
    cores, threads = sorted(os.sched_getaffinity(0)), torch.get_num_threads()
    if len(cores) < 2:
        pytest.fail("two disjoint sets of cores need two cores")
    os.sched_setaffinity(0, cores[:1])
    torch.set_num_threads(1)
    yield cores[0], cores[1]
    torch.set_num_threads(threads)
    os.sched_setaffinity(0, cores)


def test_inference_on_cores_of_its_own(tmp_path: Path, two_cores: tuple[int, int]) -> None:
    raw = load_training(_config(tmp_path)).model_dump(mode="json")
    process = TrainingProcess(tmp_path / "run", raw, ["cpu"], two_cores[1:])
    network, window = build(PLAN, seed=1).eval(), torch.rand((1, 1, *WINDOW))

    def infer() -> None:
        with torch.inference_mode():
            for _ in range(WINDOWS):
                network(window)

    try:
        _await_steps(process)
        infer()
        seconds: dict[str, list[float]] = {ALONE: [], BESIDE: [], AGAIN: []}
        order, shuffled = list(seconds), random.Random(1)
        for _ in range(ROUNDS):
            shuffled.shuffle(order)
            for name in order:
                process.go_on() if name == BESIDE else process.pause()
                with torch.inference_mode():
                    network(window)  # caches belong to the new state
                seconds[name] += interleaved({name: infer}, rounds=1)[name]
    finally:
        process.close()
    show(f"{WINDOWS} windows of {WINDOW}", seconds, reference=ALONE)
    for name in (BESIDE, AGAIN):
        ratio, low, high = _ratio(seconds[ALONE], seconds[name])
        print(f"{name}: {ratio:.3f} times alone, 95 % of resampled rounds {low:.3f} to {high:.3f}")


def _ratio(alone: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of the rounds' own ratios, and its bootstrapped 95 % interval."""
    ratios = np.asarray(other) / np.asarray(alone)
    drawn = np.random.default_rng(1).integers(len(ratios), size=(2000, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), (2.5, 97.5))
    return float(np.median(ratios)), float(low), float(high)


def test_a_stat_job_on_a_borrowed_device(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'medaet.db'}")
    Base.metadata.create_all(database.engine)
    jobs, runs = JobQueue(database, SystemClock()), TrainingQueue(database, SystemClock())
    shelf = Shelf.filled(database, jobs, SystemClock().now())
    raw = load_training(_config(tmp_path)).model_dump(mode="json")
    runs.enqueue(name="balls", version="1", configuration=raw, folder=str(tmp_path / "run"))
    stage = Train(runs, ["cpu"], LEASE, borrowed=True)
    waits = []
    try:
        stage.step()
        held = stage._held
        assert held is not None
        process = held[1]
        _await_steps(process)
        for number in range(STAT_ROUNDS):
            wait = stage.step()
            shelf.enqueue(shelf.job(f"urgent-{number}", priority=Priority.STAT))
            began = time.perf_counter()
            time.sleep(wait.total_seconds())  # the stage had just looked: the longest a job waits
            stage.step()
            while _state(process.process_id) != "T":
                time.sleep(0.001)
            waits.append(time.perf_counter() - began)
            job = jobs.lease("inference", LEASE)
            assert job is not None
            jobs.bury(job.id, "done")
            stage.step()
    finally:
        stage.close()
        database.close()
    print(f"seconds until a borrowed device is free: {statistics.median(waits):.2f}, ", end="")
    print(f"at most {max(waits):.2f} of {len(waits)}")


def _state(process_id: int) -> str:
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
