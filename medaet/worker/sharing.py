"""What the children of one device share: its memory, and what is known about it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from medaet.worker.admission import Admission
from medaet.worker.limits import host_bytes
from medaet.worker.peaks import Peak, Peaks
from medaet.worker.request import Request

DEVICE_SHARE = 0.9
"""How much of a device's memory runs may take; the rest is for its driver and for fragments."""


@dataclass(frozen=True, slots=True, eq=False)
class Sharing:
    """Children of one device as far as they concern each other.

    Attributes:
        children: How many there are.
        peaks: What runs took.
        admission: Lets runs in that fit beside others.
    """

    children: int = 1
    peaks: Peaks = field(default_factory=Peaks)
    admission: Admission = field(default_factory=lambda: Admission(host_bytes()))

    @contextmanager
    def admitted(
        self, child: object, request: Request, *, on_alive: Callable[[], None]
    ) -> Iterator[Peak]:
        """Wait until a run fits, and keep its place while it lasts; yields what it is expected to take."""
        need = self.peaks.expected(request)
        with self.admission.admitted(child, need, urgent=request.urgent, on_alive=on_alive):
            yield need
