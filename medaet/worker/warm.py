"""Analyses that stay loaded between jobs, as many as fit into memory; those used longest ago go first."""

import gc
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from medaet.plugin.analysis import Analysis, AnalysisRuntime
from medaet.worker.protocol import Message


class TellingRuntime(AnalysisRuntime, Protocol):
    """A runtime that knows how it computed."""

    @property
    def network_seconds(self) -> float:
        """How long networks computed since `told` was asked last."""
        ...

    def told(self) -> dict[str, str]:
        """Say how the networks were computed since this was asked last, for the report."""
        ...


@dataclass(slots=True, eq=False)
class Loaded:
    """An analysis with its networks on the device.

    Attributes:
        analysis: Ready to analyse.
        runtime: The one it was loaded with; it keeps the networks' engines.
        size_bytes: What loading took, on the device or the host.
    """

    analysis: Analysis
    runtime: TellingRuntime
    size_bytes: int = 0


class Warm:
    """Analyses by what makes them differ: name, weights, settings and terms.

    Args:
        limit_bytes: How much all of them may take.
        used_bytes: Tells how much memory is in use now, where networks live.
        total_bytes: How much there is for them and for runs; 0 where only the limit counts.
    """

    def __init__(
        self, limit_bytes: int, used_bytes: Callable[[], int], *, total_bytes: int = 0
    ) -> None:
        self._limit_bytes = limit_bytes
        self._total_bytes = total_bytes
        self._used_bytes = used_bytes
        self._kept: OrderedDict[str, Loaded] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        """What all that are kept take."""
        return sum(one.size_bytes for one in self._kept.values())

    @contextmanager
    def lent(self, key: str, load: Callable[[], Loaded], needed_bytes: int = 0) -> Iterator[Loaded]:
        """Lend an analysis for one run, loading it when it is not there; after an error it is not kept.

        One that is in use is not there: a plugin need not be prepared for a second run in the middle of its first.

        Args:
            key: Which one.
            load: Loads it.
            needed_bytes: What the run is expected to take with its model; others make room for it.
        """
        one = self._kept.pop(key, None)
        if self._total_bytes:
            self.shrink(max(0, self._total_bytes - needed_bytes))
        is_new = one is None
        if one is None:
            before = self._used_bytes()
            one = load()
            one.size_bytes = max(0, self._used_bytes() - before)
        try:
            yield one
        except BaseException:
            gc.unfreeze()  # it goes, and must not be passed over
            raise
        self._kept[key] = one
        self.shrink(self._limit_bytes)
        if is_new:
            _settle()

    def resize(self, limit_bytes: int, total_bytes: int) -> None:
        """Set both limits anew; those that do not fit go."""
        self._limit_bytes, self._total_bytes = limit_bytes, total_bytes
        self.shrink(limit_bytes)

    def shrink(self, limit_bytes: int) -> None:
        """Let those used longest ago go until the others take no more than a limit."""
        gone = False
        while self._kept and self.size_bytes > limit_bytes:
            self._kept.popitem(last=False)
            gone = True
        if gone:
            gc.unfreeze()
            _settle()


def _settle() -> None:
    """Collect garbage, and let later collections pass over what is left: torch, its like and the models stay.

    Going through half a million objects takes a fifth of a second, and a collection follows every run.
    """
    gc.collect()
    gc.freeze()


def key_of(request: Message, weights_sha256: str) -> str:
    """Return what makes one loaded analysis differ from another."""
    parts = [request["analysis"], weights_sha256, request["settings"], request["terms"]]
    return json.dumps(parts, sort_keys=True)
