"""A network as the sliding windows call it: made ready on its first windows, whose shape all others have."""

from collections.abc import Callable

import torch
from torch.nn import functional

from medaet.compute.engines.choice import Chosen


class Ready:
    """Runs windows on an engine that is chosen when the first ones come.

    Args:
        choose: Makes an engine for windows like these.
    """

    def __init__(self, choose: Callable[[torch.Tensor], Chosen]) -> None:
        self._choose = choose
        self._batch = 0
        self.chosen: Chosen | None = None

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Run the engine; fewer windows than the first time are filled up, for engines may be made for one shape."""
        count = len(windows)
        if self.chosen is None or count > self._batch:
            self.chosen, self._batch = self._choose(windows), count
        if count < self._batch:
            windows = functional.pad(windows, [0] * 8 + [0, self._batch - count])
        return self.chosen.engine(windows)[:count]
