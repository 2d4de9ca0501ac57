"""What a person should look at, in sentences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from medaet.store.files import LOW_FRACTION
from medaet.store.tables import JobState
from medaet_daemon.dashboard.board import Board, length
from medaet_daemon.dashboard.queries import Traffic

LONG = timedelta(minutes=10)
"""After which something that waits should be looked at."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to look at, and the page that tells more."""

    text: str
    address: str


def attention(
    board: Board,
    free_bytes: int,
    jobs: Mapping[JobState, int],
    oldest_due: datetime | None,
    traffic: Sequence[Traffic],
) -> list[Notice]:
    """List what should be looked at; empty when all is well.

    Args:
        board: Tells the time, and how much space is to stay free.
        free_bytes: On the disk of the spool.
        jobs: How many there are in each state.
        oldest_due: Since when the job that waits longest has been due; None when none waits.
        traffic: What goes to each peer.
    """
    now = board.clock.now()
    return [*_space(board, free_bytes), *_jobs(jobs, oldest_due, now), *_deliveries(traffic, now)]


def _space(board: Board, free_bytes: int) -> Iterator[Notice]:
    if free_bytes < board.config.spool.minimum_free_bytes * LOW_FRACTION:
        yield Notice("The disk of the spool is nearly full: scanners are being refused.", "/")


def _jobs(counts: Mapping[JobState, int], due: datetime | None, now: datetime) -> Iterator[Notice]:
    dead = counts[JobState.DEAD]
    if dead:
        yield Notice(f"{dead} {'job is' if dead == 1 else 'jobs are'} dead.", "/jobs?state=dead")
    if due is not None and (waited := now - due) > LONG:
        yield Notice(f"A job has been ready for {length(waited)}.", "/jobs?state=ready")


def _deliveries(traffic: Sequence[Traffic], now: datetime) -> Iterator[Notice]:
    for one in traffic:
        if one.dead:
            noun = "delivery is" if one.dead == 1 else "deliveries are"
            yield Notice(f"{one.dead} {noun} dead for {one.peer}.", "/deliveries?state=dead")
        since = one.waiting_since
        if since is not None and (waited := now - since) > LONG:
            yield Notice(
                f"{one.waiting} for {one.peer} since {length(waited)}.", "/deliveries?state=ready"
            )
