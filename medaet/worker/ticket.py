"""One request on its way through a child: when it began, how long it ran, what came of it."""

import queue
import time
from dataclasses import dataclass, field

from medaet.errors import AnalysisError, MedaetError
from medaet.worker.protocol import Message


@dataclass(frozen=True, slots=True)
class Lost:
    """The child ended before the request was answered, through no fault of it."""

    reason: AnalysisError


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that a child was given.

    Attributes:
        number: Names it in messages.
        answers: What came of it: the child's findings or error, what ended the child, or that it was lost.
        asked_at: Monotonic seconds.
        began_at: The same; None while it waits for its turn.
    """

    number: int
    answers: "queue.SimpleQueue[Message | MedaetError | Lost]" = field(
        default_factory=queue.SimpleQueue
    )
    asked_at: float = field(default_factory=time.monotonic)
    began_at: float | None = None
    _spent: float = 0.0
    _since: float | None = None

    def go_on(self) -> None:
        """Note that the child works on it."""
        self._since = time.monotonic()
        self.began_at = self.began_at or self._since

    def stand_still(self) -> None:
        """Note that the child works on something more urgent, or is done."""
        if self._since is not None:
            self._spent += time.monotonic() - self._since
            self._since = None

    @property
    def seconds(self) -> float:
        """How long the child has worked on it."""
        return self._spent + (time.monotonic() - self._since if self._since is not None else 0.0)
