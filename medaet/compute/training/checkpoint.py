"""All that a run needs to go on as if it had never stopped, in one file that is whole or absent."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from medaet.errors import ConfigError

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"


@dataclass(slots=True)
class Epoch:
    """One line of the history.

    Attributes:
        loss: Mean over the epoch's steps.
        dice: Of each structure on the validation patients; empty where there are none.
    """

    number: int
    step: int
    rate: float
    loss: float
    dice: dict[str, float] = field(default_factory=dict)

    @property
    def mean_dice(self) -> float:
        """Mean over the structures; 0 without any."""
        return sum(self.dice.values()) / len(self.dice) if self.dice else 0.0


@dataclass(slots=True)
class Progress:
    """How far a run is.

    Attributes:
        step: Steps taken.
        losses: Of the steps of the current epoch.
        history: Of the epochs that ended.
        best: Highest mean validation Dice.
        stale: Epochs since then.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    history: list[Epoch] = field(default_factory=list)
    best: float = 0.0
    stale: int = 0


def save(path: Path, progress: Progress, states: dict[str, Any]) -> None:
    """Write a checkpoint: synced, then renamed over the one before."""
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        torch.save({"progress": asdict(progress), **states}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def load(path: Path, device: torch.device) -> tuple[Progress, dict[str, Any]]:
    """Read a checkpoint; nothing in it is executed.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        states: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        raw = states.pop("progress")
        history = [Epoch(**one) for one in raw.pop("history")]
        return Progress(history=history, **raw), states
    except (OSError, RuntimeError, KeyError, TypeError, EOFError) as error:
        raise ConfigError(
            f"{path}: not a checkpoint of this version; remove it to start anew"
        ) from error
