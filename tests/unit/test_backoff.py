"""How long failed work waits."""

from datetime import timedelta

import pytest

from medaet.queue.backoff import LONGEST_WAIT, backoff

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("failures", "wait"),
    [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 320), (7, 640), (8, 900), (9, 900)],
)
def test_backoff_doubles_up_to_a_quarter_of_an_hour(failures: int, wait: int) -> None:
    assert backoff(failures, 1.0) == wait * SECOND


def test_backoff_never_exceeds_the_longest_wait_however_often_work_failed() -> None:
    assert backoff(1_000_000, 1.0) == LONGEST_WAIT


def test_backoff_halves_the_wait_at_most_by_jitter() -> None:
    assert backoff(2, 0.0) == 10 * SECOND
    assert backoff(2, 0.5) == 15 * SECOND


def test_backoff_treats_no_failure_like_the_first() -> None:
    assert backoff(0, 1.0) == backoff(1, 1.0)


def test_backoff_takes_other_waits() -> None:
    waits = [backoff(n, 1.0, first=SECOND, longest=3 * SECOND) for n in (1, 2, 3)]
    assert waits == [SECOND, 2 * SECOND, 3 * SECOND]
