"""A run that is killed, and one that is shared: the same numbers as a run that was neither."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from medaet.compute.training.checkpoint import CHECKPOINT, Progress, load
from medaet.compute.training.deterministic import deterministic
from medaet.compute.training.prepare import prepare
from medaet.compute.training.status import Observer
from medaet.compute.training.train import learn
from medaet.config.training import load_training
from tests.labelled import toml, write_pairs

pytestmark = pytest.mark.slow

LIMIT_SECONDS = 200
DIES = """
import os, signal, sys
from pathlib import Path
import torch
from medaet import logs
from medaet.compute.training.deterministic import deterministic
from medaet.compute.training.prepare import prepare
from medaet.compute.training.status import Observer
from medaet.compute.training.train import learn
from medaet.config.training import load_training

class Killer(Observer):
    def step(self, step):
        if step == 11:
            os.kill(os.getpid(), signal.SIGKILL)

logs.set_up()
deterministic()
folder = Path(sys.argv[2])
run = prepare(load_training(Path(sys.argv[1])), folder, "cpu")
torch.set_num_threads(1)
learn(run, ["cpu"], Killer(folder))
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    deterministic()
    torch.set_num_threads(1)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def _learned(config: Path, run: Path, devices: Sequence[str] = ("cpu",)) -> Progress:
    prepared = prepare(load_training(config), run, "cpu")
    torch.set_num_threads(1)
    learn(prepared, devices, Observer(run))
    return load(run / CHECKPOINT, torch.device("cpu"))[0]


def test_a_killed_run_ends_with_the_weights_and_losses_of_one_that_was_not(tmp_path: Path) -> None:
    config = write_pairs(tmp_path, 3) / "train.toml"
    config.write_text(toml(epochs=3, steps=8) + "checkpoint_seconds = 0.001\n")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-P", "-c", DIES, str(config), str(killed)],
        check=False,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == -signal.SIGKILL
    assert load(killed / CHECKPOINT, torch.device("cpu"))[0].step == 10
    assert _learned(config, killed) == _learned(config, whole)
    one, two = (torch.load(run / CHECKPOINT, weights_only=True) for run in (whole, killed))
    for part in ("network", "average"):
        for name, value in one[part].items():
            assert torch.equal(value, two[part][name]), name


def test_two_processes_lose_what_one_with_their_batches_together_does(tmp_path: Path) -> None:
    config = write_pairs(tmp_path, 3) / "train.toml"
    config.write_text(toml(epochs=2, steps=4).replace("[training]", "batch = 4\n[training]"))
    alone = _learned(config, tmp_path / "alone")
    shared = _learned(config, tmp_path / "shared", ("cpu", "cpu"))
    losses = [epoch.loss for epoch in alone.history]
    assert [epoch.loss for epoch in shared.history] == pytest.approx(losses, rel=1e-4)
    assert losses[1] < losses[0]
