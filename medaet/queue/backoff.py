"""How long failed work waits before the next attempt."""

from datetime import timedelta

FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=15)
MOST_DOUBLINGS = 30  # the longest wait is reached long before; more would overflow timedelta


def backoff(
    failures: int,
    jitter: float,
    *,
    first: timedelta = FIRST_WAIT,
    longest: timedelta = LONGEST_WAIT,
) -> timedelta:
    """Return the wait after a number of failures in a row: doubled each time, and spread at random.

    Args:
        failures: From 1.
        jitter: Random number from 0 up to 1; the wait is between half of its full length and all
            of it, so that what failed together does not come back together.
        first: Full wait after the first failure.
        longest: Full wait that is never exceeded.
    """
    doublings: int = min(max(failures, 1) - 1, MOST_DOUBLINGS)
    full = min(longest, first * (1 << doublings))
    return full * (0.5 + jitter / 2)
