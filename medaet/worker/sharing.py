"""What the children of one device share: its memory, and what is known about it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from medaet.worker.admission import Admission
from medaet.worker.limits import host_bytes
from medaet.worker.peaks import Peak, Peaks
from medaet.worker.request import Request

DEVICE_SHARE = 0.9
"""How much of a device's memory runs may take; the rest is for its driver and for fragments."""


class Sharer(Protocol):
    """A child that is running."""

    def hold(self, share: float) -> None:
        """Keep models in no more than a share of the device's memory from now on."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Sharing:
    """Children of one device as far as they concern each other.

    Attributes:
        children: How many there are beside those of environments.
        peaks: What runs took.
        admission: Lets runs in that fit beside others.
    """

    children: int = 1
    peaks: Peaks = field(default_factory=Peaks)
    admission: Admission = field(default_factory=lambda: Admission(host_bytes()))
    _running: list[Sharer] = field(default_factory=list)
    _changed: threading.Lock = field(default_factory=threading.Lock)

    def joined(self, child: Sharer) -> float:
        """Note that a child is about to run, and return its share; those that run already hold less from now on."""
        with self._changed:
            others = [one for one in self._running if one is not child]
            self._running[:] = [*others, child]
            share = 1 / len(self._running)
        for one in others:
            one.hold(share)
        return share

    def left(self, child: Sharer) -> None:
        """Note that a child runs no more; the others may hold more."""
        with self._changed:
            self._running[:] = others = [one for one in self._running if one is not child]
        for one in others:
            one.hold(1 / len(others))

    @contextmanager
    def admitted(
        self, child: object, request: Request, *, on_alive: Callable[[], None]
    ) -> Iterator[Peak]:
        """Wait until a run fits, and keep its place while it lasts; yields what it is expected to take."""
        need = self.peaks.expected(request)
        with self.admission.admitted(child, need, urgent=request.urgent, on_alive=on_alive):
            yield need
