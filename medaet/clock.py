"""Time as a dependency, so that no test sleeps."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Whatever knows what time it is."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)
