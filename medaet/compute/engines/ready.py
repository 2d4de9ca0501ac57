"""A network as the sliding windows call it: made ready on its first windows, whose shape all others have."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.nn import functional

from medaet.compute.engines.choice import FEW_CALLS, Chosen


class Ready:
    """Runs windows on an engine that is chosen when the first ones come.

    Args:
        choose: Makes an engine for windows like these, of which a volume has so many calls.
    """

    def __init__(self, choose: Callable[[torch.Tensor, int], Chosen]) -> None:
        self._choose = choose
        self._calls = 0
        self._batch = 0
        self._seconds = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self.chosen: Chosen | None = None

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Run the engine; fewer windows than the first time are filled up, for engines may be made for one shape."""
        count = len(windows)
        if self.chosen is None or count > self._batch or self._is_due(self.chosen):
            chosen, self._batch = self._choose(windows, self._calls), count
            self.chosen = replace(chosen, logits=None)
            if chosen.logits is not None:  # the example that was measured with are these windows
                self._seconds += chosen.milliseconds[chosen.engine.name] / 1000
                return chosen.logits
        if count < self._batch:
            windows = functional.pad(windows, [0] * 8 + [0, self._batch - count])
        timed = self._on_gpu if windows.is_cuda else self._on_host
        return timed(self.chosen, windows)[:count]

    def expect(self, calls: int) -> None:
        """Learn how often the next volume will call it."""
        self._calls = calls

    def _is_due(self, chosen: Chosen) -> bool:
        """Whether more is to be computed than when torch was taken without looking further."""
        return chosen.provisional and self._calls > FEW_CALLS

    def spent_seconds(self) -> float:
        """How long the engine computed since this was asked last; waits for a GPU to finish."""
        for begun, ended in self._events:
            ended.synchronize()
            self._seconds += begun.elapsed_time(ended) / 1000
        spent, self._seconds = self._seconds, 0.0
        self._events.clear()
        return spent

    def _on_host(self, chosen: Chosen, windows: torch.Tensor) -> torch.Tensor:
        started = time.perf_counter()
        logits = chosen.engine(windows)
        self._seconds += time.perf_counter() - started
        return logits

    def _on_gpu(self, chosen: Chosen, windows: torch.Tensor) -> torch.Tensor:
        """Let the GPU take the time, so that nothing waits for it."""
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call] # torch's
        begun.record()
        logits = chosen.engine(windows)
        ended.record()
        self._events.append((begun, ended))
        return logits
