"""Where pynetdicom's own thread of an association waits while we send, so that it takes no response from us.

Its own flag says "paused" a moment before the thread really is; a thread that was let go in that moment takes the
response off the queue, and whoever sent waits in vain. Under load that happens once in a thousand messages.
"""

import threading

STOP_SECONDS = 1.0
"""For the thread to come here; one that has ended never will."""


class Checkpoint:
    """Takes the place of the event that pynetdicom's thread waits for; open at first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_open = True
        self._is_waited_at = False

    def wait(self) -> None:
        """Wait until it is open."""
        with self._changed:
            self._is_waited_at = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_open)
            self._is_waited_at = False

    def clear(self) -> None:
        """Close it, and return once somebody waits here, who then stays until it is opened again."""
        with self._changed:
            self._is_open = False
            self._changed.wait_for(lambda: self._is_waited_at, STOP_SECONDS)

    def set(self) -> None:
        """Open it."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()
