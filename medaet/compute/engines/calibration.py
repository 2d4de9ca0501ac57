"""What quantising needs: the network as an ONNX file, and some of the windows it sees on reference cases."""

import random
from pathlib import Path

import numpy as np
import torch

from medaet.compute.engines.eager import eager
from medaet.compute.engines.engine import Engine, OnnxFile, Task
from medaet.compute.engines.onnx import export
from medaet.errors import EngineError
from medaet.precision import EngineName

MOST_WINDOWS = 24
SEED = 7


class Calibrating:
    """Runs a network in fp32, and keeps an even sample of the windows that go through it.

    Args:
        engine: What runs it.
        folder: Gets the windows, one a file.
    """

    name: EngineName = "eager"

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._random = random.Random(SEED)  # noqa: S311 -- a sample, no secret
        self._seen = 0
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Run the network."""
        for one in windows:
            self._consider(one)
        return self._engine(windows)

    def _consider(self, window: torch.Tensor) -> None:
        """Keep each of all windows with equal probability (J. Vitter 1985, algorithm R)."""
        place = self._seen if self._seen < MOST_WINDOWS else self._random.randrange(self._seen + 1)
        self._seen += 1
        if place < MOST_WINDOWS:
            np.save(self._folder / f"{place:03}.npy", window.float().cpu().numpy())


def calibrating(task: Task, folder: Path) -> Calibrating:
    """Write the network into a folder, and let its windows follow.

    Raises:
        EngineError: it cannot be exported to ONNX.
    """
    if isinstance(task.source, OnnxFile):
        raise EngineError("the analysis brings an ONNX file; quantise it where it was made")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / task.quantised_name
    export(task, path, any_batch=True)
    return Calibrating(eager(task), path.with_suffix(""))
