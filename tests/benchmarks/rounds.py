"""Rounds of a benchmark: every case once in each, in random order, so that a slow minute slows all of them."""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table


def interleaved(
    cases: Mapping[str, Callable[[], object]], *, rounds: int = 5, seed: int = 1
) -> dict[str, list[float]]:
    """Time each case `rounds` times.

    Returns:
        Seconds of each run, by case.
    """
    order, shuffled = list(cases), random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        shuffled.shuffle(order)
        for name in order:
            started = time.perf_counter()
            cases[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


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
