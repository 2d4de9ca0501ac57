"""What a person should look at, in sentences."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from medaet.store.files import LOW_FRACTION
from medaet.store.tables import JobState
from medaet_daemon.dashboard.board import Board, length
from medaet_daemon.dashboard.queries import Queries

LONG = timedelta(minutes=10)
"""After which something that waits should be looked at."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to look at, and the page that tells more."""

    text: str
    address: str


def attention(board: Board, queries: Queries) -> list[Notice]:
    """List what should be looked at; empty when all is well."""
    return [*_space(board), *_jobs(board, queries), *_deliveries(board, queries)]


def _space(board: Board) -> Iterator[Notice]:
    found = os.statvfs(board.config.spool.path)
    free = found.f_bavail * found.f_frsize
    if free < board.config.spool.minimum_free_bytes * LOW_FRACTION:
        yield Notice("The disk of the spool is nearly full: scanners are being refused.", "/")


def _jobs(board: Board, queries: Queries) -> Iterator[Notice]:
    dead = queries.job_counts()[JobState.DEAD]
    if dead:
        yield Notice(f"{dead} {'job is' if dead == 1 else 'jobs are'} dead.", "/jobs?state=dead")
    due = queries.oldest_due()
    if due is not None and (waited := board.clock.now() - due) > LONG:
        yield Notice(f"A job has been ready for {length(waited)}.", "/jobs?state=ready")


def _deliveries(board: Board, queries: Queries) -> Iterator[Notice]:
    for one in queries.traffic():
        if one.dead:
            noun = "delivery is" if one.dead == 1 else "deliveries are"
            yield Notice(f"{one.dead} {noun} dead for {one.peer}.", "/deliveries?state=dead")
        since = one.waiting_since
        if since is not None and (waited := board.clock.now() - since) > LONG:
            yield Notice(
                f"{one.waiting} for {one.peer} since {length(waited)}.", "/deliveries?state=ready"
            )
