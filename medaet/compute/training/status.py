"""How far a run is, for whoever watches: lines on standard output, a file, the journal, TensorBoard."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from medaet.compute.training.checkpoint import Epoch

log = structlog.get_logger()

STATUS, TENSORBOARD = "status.json", "tensorboard"
TOLD_SECONDS = 1.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Status:
    """What a dashboard shows of a run.

    Attributes:
        phase: "preparing", "training", "validating", "exporting", "certifying", "done".
        text: A few words more.
        seconds_left: Of the training phase; None while nothing is known.
    """

    phase: str = "preparing"
    text: str = ""
    step: int = 0
    steps: int = 0
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    dice: float | None = None
    seconds_left: float | None = None


class Observer:
    """Tells how far a run is.

    Args:
        folder: Of the run, which gets status.json.
        say: Takes one line of JSON, for a program that shows progress; None says nothing.
    """

    def __init__(self, folder: Path, say: Say | None = None) -> None:
        self._folder, self._say = folder, say
        self._status = Status()
        self._told_at = 0.0
        self._began: tuple[float, int] | None = None
        self._writer = _tensorboard(folder / TENSORBOARD)

    def phase(self, phase: str, text: str = "") -> None:
        """Enter a phase, or say what it does now."""
        self._status.phase, self._status.text = phase, text
        self._tell()

    def plan(self, steps: int, epochs: int) -> None:
        """Say how much there is to do at most."""
        self._status.steps, self._status.epochs = steps, epochs

    def step(self, step: int) -> None:
        """Note a step; told at most once a second."""
        now = time.monotonic()
        if self._began is None:
            self._began = (now, step - 1)
        began, first = self._began
        self._status.step = step
        self._status.seconds_left = (now - began) / (step - first) * (self._status.steps - step)
        if now - self._told_at >= TOLD_SECONDS:
            self._tell()

    def epoch(self, epoch: Epoch) -> None:
        """Note the end of an epoch."""
        status = self._status
        status.epoch, status.loss = epoch.number, round(epoch.loss, 5)
        status.dice = round(epoch.mean_dice, 4) if epoch.dice else None
        log.info("epoch.trained", epoch=epoch.number, loss=status.loss, dice=status.dice)
        if self._writer is not None:
            self._writer.add_scalar("loss", epoch.loss, epoch.step)
            self._writer.add_scalar("rate", epoch.rate, epoch.step)
            for name, value in epoch.dice.items():
                self._writer.add_scalar(f"dice/{name}", value, epoch.step)
            self._writer.flush()
        self._tell()

    def close(self) -> None:
        """Let the event files go."""
        if self._writer is not None:
            self._writer.close()

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        text = json.dumps(asdict(self._status))
        part = self._folder / f"{STATUS}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(self._folder / STATUS)
        if self._say is not None:
            self._say(text)


def _tensorboard(folder: Path):  # type: ignore[no-untyped-def] # the type exists only where the extra is installed
    """Open event files, where the extra `tensorboard` is installed."""
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
