"""The child's inbox: requests wait here until it is their turn, urgent ones first."""

import threading
from collections import deque

from medaet.worker.protocol import Message


class Inbox:
    """Requests between the thread that receives them and the one that works."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._urgent: deque[Message] = deque()
        self._arrived = threading.Condition()

    def put(self, request: Message) -> None:
        """Let a request wait."""
        with self._arrived:
            (self._urgent if request.get("urgent") else self._waiting).append(request)
            self._arrived.notify()

    def next(self) -> Message:
        """Take the request whose turn it is; wait for one."""
        with self._arrived:
            while not self._urgent and not self._waiting:
                self._arrived.wait()
            return (self._urgent or self._waiting).popleft()

    def urgent(self) -> Message | None:
        """Take an urgent request, if there is one."""
        with self._arrived:
            return self._urgent.popleft() if self._urgent else None

    def withdraw(self, number: int) -> Message | None:
        """Take a request out before its turn; None when it has begun already."""
        with self._arrived:
            for waiting in (self._urgent, self._waiting):
                for request in waiting:
                    if request["id"] == number:
                        waiting.remove(request)
                        return request
        return None
