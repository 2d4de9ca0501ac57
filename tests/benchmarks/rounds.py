"""Rounds of a benchmark: every case once in each, in random order, so that a slow minute slows all of them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from rich.console import Console
from rich.table import Table

from medaet.bench.compared import timed
from medaet.bench.rounds import interleaved as in_rounds


def interleaved(
    cases: Mapping[str, Callable[[], object]], *, rounds: int = 5
) -> dict[str, list[float]]:
    """Time each case `rounds` times.

    Returns:
        Seconds of each run, by case.
    """
    return in_rounds({name: partial(timed, case) for name, case in cases.items()}, rounds)


def show(title: str, seconds: Mapping[str, Sequence[float]], *, reference: str) -> None:
    """Print medians, spreads, and how many times the reference each case takes."""
    base = statistics.median(seconds[reference])
    table = Table(title=title)
    for column in ("case", "median s", "min..max", f"times {reference}"):
        table.add_column(column)
    for name, runs in sorted(seconds.items(), key=lambda one: statistics.median(one[1])):
        median = statistics.median(runs)
        spread = f"{min(runs):.4f}..{max(runs):.4f}"
        table.add_row(name, f"{median:.4f}", spread, f"{median / base:.2f}")
    Console(width=120).print(table)
