"""Group commit: of those who wait for something to be made durable, one does it for all who wait at that moment."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from medaet.errors import DatabaseUnavailableError

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST_GROUP = 256
LONGEST_WAIT_SECONDS = 30.0
"""For the group before; a database that takes longer is not there."""


class _Place(Generic[Item, Result]):
    """One who waits.

    Attributes:
        ready: Released once there is a result, or once it is this one's turn to lead.
        result: Set by whoever led; None while there is none.
    """

    __slots__ = ("error", "is_done", "item", "ready", "result")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.ready = threading.Lock()
        self.ready.acquire()
        self.is_done = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class Group(Generic[Item, Result]):
    """Runs `work` for the items of all threads that call `do` while it runs, once for all of them.

    A thread that comes alone works at once, without waiting and without another thread; the more come, the larger
    the groups.

    Args:
        work: Called by one thread at a time with the items of a group; returns a result for each. When it raises,
            every one of the group gets the error.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._waiting: list[_Place[Item, Result]] = []
        self._is_led = False

    def do(self, item: Item) -> Result:
        """Have the work done for an item, together with that of others; return its result.

        Raises:
            DatabaseUnavailableError: whoever works took too long; the item may still be done.
        """
        place: _Place[Item, Result] = _Place(item)
        with self._lock:
            self._waiting.append(place)
            leads, self._is_led = not self._is_led, True
        if not leads and not place.ready.acquire(timeout=LONGEST_WAIT_SECONDS):
            self._leave(place)
        if not place.is_done:
            self._lead()
        if place.error is not None:
            raise place.error
        assert place.is_done
        return place.result  # type: ignore[return-value] # a result may well be None

    def _leave(self, place: _Place[Item, Result]) -> None:
        """Stop waiting, unless it is this one's turn in this very moment."""
        with self._lock:
            if place.ready.acquire(blocking=False):
                return
            if place in self._waiting:
                self._waiting.remove(place)
        raise DatabaseUnavailableError(f"the database took more than {LONGEST_WAIT_SECONDS:g} s")

    def _lead(self) -> None:
        with self._lock:
            group = self._waiting[:LARGEST_GROUP]
            del self._waiting[:LARGEST_GROUP]
        try:
            for place, result in zip(
                group, self._work([place.item for place in group]), strict=True
            ):
                place.result = result
        except BaseException as error:  # noqa: BLE001 -- it is raised to every one who waits
            for place in group:
                place.error = error
        for place in group:
            place.is_done = True
            place.ready.release()
        with self._lock:
            if self._waiting:
                self._waiting[0].ready.release()
            else:
                self._is_led = False
