"""Judgement of a trained network on patients it never saw, on the scans' own grids, by the clinic's own code."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from medaet.compute.runtime import Runtime
from medaet.compute.trained.model import segment
from medaet.compute.training.case import Labelled
from medaet.compute.training.prepare import Prepared
from medaet.compute.training.read import Reader
from medaet.compute.training.scores import Score, score
from medaet.config.training import SplitName

RESULTS = "validation.json"
TOLERANCE_MM = 3.0
"""Borders this near each other count as the same for the surface Dice."""

RESAMPLES = 2000
THIN_MM, THICK_MM = 2.0, 4.0


@dataclass(frozen=True, slots=True)
class Judged:
    """One case that was judged.

    Attributes:
        groups: By which failures are analysed: scanner, contrast, slices.
        scores: By structure.
    """

    name: str
    patient_key: str
    split: str
    labelled_by: str
    groups: Mapping[str, str]
    scores: Mapping[str, Score]

    @property
    def mean_dice(self) -> float:
        """Mean over the structures, by which the worst cases are found."""
        return float(np.mean([one.dice for one in self.scores.values()]))


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over patients with its 95 % confidence interval; equal ends where one patient says nothing of others."""

    mean: float
    low: float
    high: float
    patients: int


def judged_split(run: Prepared) -> SplitName:
    """Name the split whose patients judge: test patients, else those that stopped it, else those it learned from."""
    order: tuple[SplitName, ...] = ("test", "validation", "train")
    return next(one for one in order if any(known.split == one for known in run.known))


def judge(
    run: Prepared,
    network: nn.Module,
    reader: Reader,
    runtime: Runtime,
    *,
    seen: Callable[[Judged, Labelled, NDArray[np.uint8]], None] = lambda *_: None,
) -> list[Judged]:
    """Compare the network with the labels of the held-out patients.

    Args:
        run: The prepared run.
        network: Trained, on the runtime's device, in evaluation mode.
        reader: Of the cases.
        runtime: The one the clinic uses.
        seen: Called with each case, what it is and what was found.
    """
    known = {one.name: one for one in run.known}
    results = []
    for case in run.of(judged_split(run)):
        one = reader.read(case)
        found = segment(network, one.volume, run.plan, runtime)
        spacing = one.volume.spacing_mm
        scores = {
            name: score(found == number, one.labels == number, spacing, TOLERANCE_MM)
            for number, name in enumerate(run.plan.structures, start=1)
        }
        result = Judged(
            name=case.name,
            patient_key=case.patient_key,
            split=case.split,
            labelled_by=known[case.name].labelled_by,
            groups={**case.attributes, "slice distance": _thickness(max(spacing))},
            scores=scores,
        )
        seen(result, one, found)
        results.append(result)
    return results


def write(results: Sequence[Judged], path: Path) -> None:
    """Write every score as JSON; figures that do not exist are null."""
    rows = [asdict(one) for one in results]
    for row in rows:
        for scores in row["scores"].values():
            scores.update({key: None for key, value in scores.items() if math.isnan(value)})
    path.write_text(json.dumps(rows, indent=1, allow_nan=False), encoding="utf-8")


def interval(results: Sequence[Judged], values: Sequence[float], *, seed: int) -> Interval:
    """Average a figure over patients, each counted once, and bootstrap the mean's 95 % interval over them.

    Args:
        results: The cases.
        values: One figure for each; NaN is left out.
        seed: Of the resampling.
    """
    by_patient: dict[str, list[float]] = {}
    for one, value in zip(results, values, strict=True):
        if not math.isnan(value):
            by_patient.setdefault(one.patient_key, []).append(value)
    means = np.array([np.mean(each) for each in by_patient.values()])
    if not len(means):
        return Interval(math.nan, math.nan, math.nan, 0)
    drawn = np.random.default_rng(seed).integers(len(means), size=(RESAMPLES, len(means)))
    low, high = np.percentile(means[drawn].mean(axis=1), (2.5, 97.5))
    return Interval(float(means.mean()), float(low), float(high), len(means))


def agreement_limits(results: Sequence[Judged], structure: str) -> tuple[float, float, float]:
    """Return the mean volume bias in percent and its limits of agreement, mean -/+ 1.96 standard deviations.

    Source:
        J. M. Bland, D. G. Altman, Lancet 327 (1986) 307.
    """
    values = np.array([one.scores[structure].bias_percent for one in results])
    values = values[np.isfinite(values)]
    if not len(values):
        return math.nan, math.nan, math.nan
    spread = 1.96 * float(values.std(ddof=1)) if len(values) > 1 else math.nan
    mean = float(values.mean())
    return mean, mean - spread, mean + spread


def by_group(results: Sequence[Judged]) -> list[tuple[str, str, int, float]]:
    """List (what, value, cases, mean Dice) for every group of cases, the worst first within each kind."""
    rows: dict[tuple[str, str], list[float]] = {}
    for one in results:
        for what, value in one.groups.items():
            rows.setdefault((what, value), []).append(one.mean_dice)
    listed = [
        (what, value, len(each), float(np.mean(each))) for (what, value), each in rows.items()
    ]
    return sorted(listed, key=lambda row: (row[0], row[3]))


def _thickness(slice_mm: float) -> str:
    if slice_mm <= THIN_MM:
        return f"up to {THIN_MM:g} mm"
    return f"up to {THICK_MM:g} mm" if slice_mm <= THICK_MM else f"over {THICK_MM:g} mm"
