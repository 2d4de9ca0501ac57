"""Inference beside MONAI's and beside no network: the same volume and the same network, interleaved in one run."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medaet.bench.cases import CASES, CLASSICAL, MONAI, QUICK
from medaet.bench.compared import OURS, as_key
from medaet.bench.report import Report
from medaet.bench.rounds import interleaved
from medaet.demo.scans import write_scan
from medaet.errors import AnalysisError

Figures = Mapping[str, float]
ONCE_SECONDS = 3600


def infer(
    *,
    cases: Sequence[str] = (),
    quick: bool = False,
    rounds: int = 3,
    device: str = "cpu",
    say: Callable[[str], None] = lambda _text: None,
) -> Report:
    """Measure every way on every case.

    Args:
        cases: Keys of `medaet.bench.cases.CASES`; empty for all.
        quick: Leave out the cases of 300 slices, unless they are named.
        rounds: How often each way runs on each case; medians are reported.
        device: In torch's spelling.
        say: Told what runs now.

    Raises:
        AnalysisError: a way failed.
    """
    rows: list[Mapping[str, object]] = []
    ratios: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="medaet-bench-") as name:
        folder = Path(name)
        write_scan("chest-ct", folder / "series")
        for key in cases or (QUICK if quick else CASES):
            case = CASES[key]
            runs = interleaved(
                {way: partial(_once, key, way, folder, device) for way in case.ways},
                rounds,
                lambda text, title=case.title: say(f"{title}: {text}"),  # type: ignore[misc] # bound now
            )
            found = {way: _middle(each) for way, each in runs.items()}
            agreed = {way: _agreement(folder, key, way) for way in case.ways}
            rows += [
                {
                    "case": case.title,
                    "way": way,
                    "device": device,
                    **found[way],
                    "dice_vs_monai": agreed[way],
                }
                for way in case.ways
            ]
            ratios[case.title] = _ratios(found, agreed)
    return Report("infer", rows, ratios)


def _once(key: str, way: str, folder: Path, device: str) -> Figures:
    command = [sys.executable, "-P", "-m", "medaet.bench.infer_once", key, way]
    command += ["--series", str(folder / "series"), "--labels", str(_labels(folder, key, way))]
    command += ["--cache", str(folder / "cache"), "--device", device]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=ONCE_SECONDS
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise AnalysisError(f"{way} failed on {key}: {last}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def _middle(runs: Sequence[Figures]) -> dict[str, float]:
    """Return the median of every figure, and the spread of the time."""
    middle = {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}
    times = [run["seconds"] for run in runs]
    return {**middle, "least_seconds": round(min(times), 3), "most_seconds": round(max(times), 3)}


def _labels(folder: Path, key: str, way: str) -> Path:
    return folder / f"{key}-{way.replace(' ', '-')}.npy"


def _agreement(folder: Path, key: str, way: str) -> float:
    """Return the lowest Dice of any class with MONAI's labels."""
    theirs, ours = (np.load(_labels(folder, key, one)) for one in (MONAI, way))
    return round(lowest_dice(theirs, ours), 6)


def lowest_dice(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    """Return the Dice coefficient of the class on which two label maps agree least; 1 when both are empty."""
    together = np.bincount(one.ravel()[one.ravel() == two.ravel()], minlength=256)
    sizes = np.bincount(one.ravel(), minlength=256) + np.bincount(two.ravel(), minlength=256)
    present = np.flatnonzero(sizes[1:]) + 1
    return float((2 * together[present] / sizes[present]).min()) if present.size else 1.0


def _ratios(found: Mapping[str, Figures], agreed: Mapping[str, float]) -> dict[str, float]:
    base = found[MONAI]
    ratios: dict[str, float] = {}
    for way in found:
        if way == MONAI:
            continue
        name = "" if way == OURS else f"{as_key(way)}_"
        ratios[f"{name}speed_vs_monai"] = _times(base["seconds"], found[way]["seconds"])
        if way != CLASSICAL:
            memory = _times(found[way]["own_peak_mb"], base["own_peak_mb"])
            ratios[f"{name}memory_vs_monai"] = memory
        ratios[f"{name}dice_vs_monai"] = agreed[way]
    return ratios


def _times(one: float, other: float) -> float:
    return round(one / max(other, 1e-9), 3)
