"""Registration against known motions, beside SimpleITK: how far off, how often refused, how much work.

Work is the CPU time of one thread on both sides, which other programs on the machine hardly change.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from rich.console import Console
from rich.table import Table

from medaet.bench.simpleitk import rigid
from medaet.compute.registration.register import register
from medaet.dicom.volume import Volume
from medaet.errors import RegistrationError
from tests.heads import Head, Matrix, View, motion, moved

STARTS = int(os.environ.get("MEDAET_BENCH_STARTS", "20"))
PEER_EVERY = 5
"""SimpleITK gets every fifth start: it takes long."""

FALSE_MM = 3.0
PAIRS = {
    "T1, T1": (View(), View()),
    "T1, CT-like": (View(), View("CT", (1.5, 0.9, 0.9), noise=0.15)),
    "T1, CT-like without the neck": (
        View(),
        View("CT", (2.0, 0.8, 0.8), ((0.25, 0.0), (0.05, 0.05), (0.1, 0.0)), noise=0.15),
    ),
    "CT-like, T1 of 5 mm": (
        View("CT", noise=0.15),
        View("MR", (5.0, 0.9, 0.9), ((0.2, 0.0), (0.0, 0.0), (0.0, 0.0))),
    ),
    "T1, upper half of CT-like": (
        View(),
        View("CT", (1.0, 1.0, 1.0), ((0.5, 0.0), (0.0, 0.0), (0.0, 0.0)), noise=0.15),
    ),
}

Method = Callable[[Volume, Volume], Matrix]


@dataclass(slots=True)
class Tally:
    """What one method made of one pair."""

    errors_mm: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refused: int = 0


def _ours(fixed: Volume, moving: Volume) -> Matrix:
    return register(fixed, moving).matrix


def _affine(fixed: Volume, moving: Volume) -> Matrix:
    return register(fixed, moving, "affine").matrix


def _simpleitk(share: float, shortest: float, starts: str) -> Method:
    return partial(rigid, share=share, shortest=shortest, starts=starts)


METHODS: dict[str, Method] = {
    "MedAET": _ours,
    "MedAET, affine": _affine,
    "SimpleITK, 5 %": _simpleitk(0.05, 1e-3, "MOMENTS"),
    "SimpleITK, 1 %, coarse stop": _simpleitk(0.01, 1e-2, "MOMENTS"),
    "SimpleITK, 1 %, geometry": _simpleitk(0.01, 1e-2, "GEOMETRY"),
}


@pytest.fixture(scope="module")
def head(scans: Path) -> Head:
    torch.set_num_threads(1)
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    return Head(scans / "head_mr_t1_1mm")


def test_accuracy_and_work(head: Head) -> None:
    tallies = {
        (pair, name): tally
        for number, (pair, views) in enumerate(PAIRS.items())
        for name, tally in _measured(head, views, seed=number).items()
    }
    _show(tallies)
    ours = [tally for (_, name), tally in tallies.items() if name == "MedAET"]
    errors = np.concatenate([tally.errors_mm for tally in ours])
    assert not (errors > FALSE_MM).any()
    fine = np.array(
        tallies["T1, T1", "MedAET"].errors_mm + tallies["T1, CT-like", "MedAET"].errors_mm
    )
    assert np.median(fine) <= 0.5
    assert np.percentile(fine, 95) <= 1.5


def _measured(head: Head, views: tuple[View, View], *, seed: int) -> dict[str, Tally]:
    fixed, moving = (head.seen(view, seed=10 * seed + n) for n, view in enumerate(views))
    rng = np.random.default_rng(seed)
    tallies = {name: Tally() for name in METHODS}
    for start in range(STARTS):
        true = motion(rng, head.centre)
        there = moved(moving, true)
        for name, method in METHODS.items():
            if name == "MedAET" or start % PEER_EVERY == 0:
                _run(tallies[name], method, (fixed, there), head, np.asarray(np.linalg.inv(true)))
    return tallies


def _run(
    tally: Tally, method: Method, pair: tuple[Volume, Volume], head: Head, true: Matrix
) -> None:
    started = time.process_time()
    try:
        found = method(*pair)
    except RegistrationError:
        tally.refused += 1
        return
    finally:
        tally.seconds.append(time.process_time() - started)
    tally.errors_mm.append(float(head.errors_mm(found, true).mean()))


def _show(tallies: dict[tuple[str, str], Tally]) -> None:
    table = Table(title="Target registration error, mm, and CPU seconds of one thread")
    columns = (
        "pair",
        "method",
        "starts",
        "refused",
        "median",
        "95 %",
        "max",
        "> 3 mm",
        "CPU s",
        "x",
    )
    for column in columns:
        table.add_column(column)
    for (pair, name), one in tallies.items():
        errors = np.array(one.errors_mm or [np.nan])
        reference = np.median(tallies[pair, "MedAET"].seconds)
        table.add_row(
            pair,
            name,
            str(len(one.seconds)),
            str(one.refused),
            f"{np.median(errors):.2f}",
            f"{np.percentile(errors, 95):.2f}",
            f"{errors.max():.2f}",
            str(int((errors > FALSE_MM).sum())),
            f"{np.median(one.seconds):.2f}",
            f"{np.median(one.seconds) / reference:.1f}",
        )
    Console(width=130).print(table)
