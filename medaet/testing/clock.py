"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """A clock for tests; it starts at noon.

    Attributes:
        at: What it shows; aware.
    """

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        """Return what the clock shows."""
        return self.at

    def advance(self, length: timedelta) -> None:
        """Let time pass."""
        self.at += length
