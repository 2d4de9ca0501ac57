"""Admission: several children share a device as long as what their runs take together fits."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from medaet.worker import limits
from medaet.worker.peaks import Peak

CHECK_SECONDS = 0.5


class Admission:
    """Lets runs in, those that came first before others, urgent ones before all.

    What a child needs is the most that any run it was given needs, for it works on one after the other. A run that
    needs more than there is gets in when it would be alone: what happens then is for the memory ladder.

    Args:
        host_bytes: Memory of the host for all children together.
        device_bytes: Memory of the device; 0 where it has none of its own.
        available_bytes: Tells how much of the host's memory is free now.
    """

    def __init__(
        self,
        host_bytes: int,
        device_bytes: int = 0,
        available_bytes: Callable[[], int] = limits.available_bytes,
    ) -> None:
        self._host_bytes = host_bytes
        self._device_bytes = device_bytes
        self._available_bytes = available_bytes
        self._changed = threading.Condition()
        self._inside: dict[object, list[Peak]] = {}
        self._queue: deque[object] = deque()

    @contextmanager
    def admitted(
        self,
        child: object,
        need: Peak,
        *,
        urgent: bool = False,
        on_alive: Callable[[], None] = lambda: None,
    ) -> Iterator[None]:
        """Wait until a run fits beside what other children do, and keep its place while it lasts.

        Args:
            child: Which child it is for.
            need: What it takes.
            urgent: Whether it waits before others.
            on_alive: Called while it waits; what it raises ends the waiting.
        """
        place = object()
        with self._changed:
            (self._queue.appendleft if urgent else self._queue.append)(place)
        try:
            self._wait(place, child, need, on_alive)
        finally:
            with self._changed:
                self._queue.remove(place)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._inside[child].remove(need)
                if not self._inside[child]:
                    del self._inside[child]
                self._changed.notify_all()

    def _wait(self, place: object, child: object, need: Peak, on_alive: Callable[[], None]) -> None:
        while True:
            with self._changed:
                if self._queue[0] is place and self._fits(child, need):
                    self._inside.setdefault(child, []).append(need)
                    return
                self._changed.wait(CHECK_SECONDS)
            on_alive()

    def _fits(self, child: object, need: Peak) -> bool:
        others = [_most(runs) for one, runs in self._inside.items() if one is not child]
        if not others:
            return True
        own = _most([*self._inside.get(child, ()), need])
        host = own.host_bytes + sum(one.host_bytes for one in others)
        device = own.device_bytes + sum(one.device_bytes for one in others)
        grows = child not in self._inside
        return (
            host <= self._host_bytes
            and (not self._device_bytes or device <= self._device_bytes)
            and (not grows or need.host_bytes <= self._available_bytes())
        )


def _most(runs: list[Peak]) -> Peak:
    return Peak(max(one.host_bytes for one in runs), max(one.device_bytes for one in runs))
