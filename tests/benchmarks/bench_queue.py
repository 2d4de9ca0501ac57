"""What a job costs the queue, in a table with few and with many rows: leasing must not slow down as history grows."""

import contextlib
import statistics
from functools import partial
from pathlib import Path

import pytest

from medaet.bench.queue import CYCLES, FEW, MANY, cycles, filled
from tests.benchmarks.rounds import interleaved, show


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_cost_of_a_job(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with contextlib.ExitStack() as stack:
        cases = {}
        for rows in (FEW, MANY):
            url = f"sqlite:///{tmp_path / f'{rows}.db'}"
            if kind == "postgres":
                url = request.getfixturevalue("cluster").create(f"bench_{rows}")
            shelf = stack.enter_context(filled(url, rows))
            cases[f"{kind}, {rows} rows"] = partial(cycles, shelf)
        seconds = interleaved(cases)
    show(f"{CYCLES} jobs enqueued, leased, ended", seconds, reference=f"{kind}, {FEW} rows")
    few, many = (statistics.median(seconds[f"{kind}, {rows} rows"]) for rows in (FEW, MANY))
    assert many / few < 3
