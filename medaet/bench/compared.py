"""Ways of doing one thing, timed beside each other: a row for each, and how many times faster ours is."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from medaet.bench.report import Report
from medaet.bench.rounds import interleaved

OURS: Final = "medaet"

Way = Callable[[], object]
Say = Callable[[str], None]


def compared(
    benchmark: str,
    case: str,
    ways: Mapping[str, Way],
    rounds: int,
    say: Say,
    *,
    amount: tuple[str, float] | None = None,
) -> Report:
    """Time every way `rounds` times, in random order within each round.

    Args:
        benchmark: Its name on the command line.
        case: What is done.
        ways: By name; "medaet" is the one the others are held against.
        rounds: How often.
        say: Told what runs now.
        amount: A name such as "megabytes_a_second", and how much of it one call does.
    """
    seconds = interleaved({name: partial(timed, way) for name, way in ways.items()}, rounds, say)
    return report(benchmark, case, seconds, amount=amount)


def report(
    benchmark: str,
    case: str,
    seconds: Mapping[str, Sequence[float]],
    *,
    amount: tuple[str, float] | None = None,
) -> Report:
    """Tell what was measured: the median of each way, its spread, and ratios of medians.

    Args:
        benchmark: Its name on the command line.
        case: What was done.
        seconds: What each way took, run by run.
        amount: As for `compared`.
    """
    middle = {name: statistics.median(runs) for name, runs in seconds.items()}
    rows = []
    for name, value in middle.items():
        row: dict[str, object] = {
            "case": case,
            "way": name,
            "seconds": round(value, 4),
            "least_seconds": round(min(seconds[name]), 4),
            "most_seconds": round(max(seconds[name]), 4),
        }
        if amount is not None:
            row[amount[0]] = round(amount[1] / value)
        rows.append(row)
    ratios = {
        f"speed_vs_{as_key(name)}": round(value / middle[OURS], 2)
        for name, value in middle.items()
        if name != OURS
    }
    return Report(benchmark, rows, {case: ratios})


def joined(reports: Sequence[Report]) -> Report:
    """Make one report of several cases of one benchmark."""
    rows = [row for one in reports for row in one.rows]
    ratios = {case: found for one in reports for case, found in one.ratios.items()}
    return Report(reports[0].benchmark, rows, ratios)


def as_key(way: str) -> str:
    """Return a way's name as part of a ratio's name."""
    return way.lower().replace(" ", "_").replace(",", "")


def timed(way: Way) -> float:
    """Return how many seconds a way takes."""
    started = time.perf_counter()
    way()
    return time.perf_counter() - started
