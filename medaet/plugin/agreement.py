"""How far two analyses agree on the same studies: overlap of structures, and differences of numbers."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from medaet.plugin.findings import Findings
from medaet.plugin.mask import Mask

LIMITS = 1.96
"""Standard deviations on either side of the mean difference that hold 95 % (Bland and Altman, Lancet 1986)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One structure or number, over all studies that both analysed.

    Attributes:
        what: Label of the structure, or of it and what was measured.
        unit: Of the differences: "%" of the live one's size for structures.
        studies: In how many both found it.
        only_live: In how many only the live one did.
        only_other: In how many only the other did.
        mean_dice: Mean overlap (Dice coefficient); None for numbers.
        lowest_dice: The least.
        mean_difference: Other minus live.
        lower_limit: Below it lie 2.5 % of differences; None for fewer than two studies.
        upper_limit: Above it lie 2.5 % of differences; None for fewer than two studies.
    """

    what: str
    unit: str
    studies: int
    only_live: int
    only_other: int
    mean_dice: float | None
    lowest_dice: float | None
    mean_difference: float | None
    lower_limit: float | None
    upper_limit: float | None


@dataclass(slots=True)
class _Seen:
    unit: str = "%"
    only_live: int = 0
    only_other: int = 0
    dice: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)


def agreements(pairs: Iterable[tuple[Findings, Findings]]) -> list[Agreement]:
    """Compare findings of a live analysis with those of another, pair by pair.

    Args:
        pairs: Live and other, of the same series.
    """
    seen: dict[str, _Seen] = defaultdict(_Seen)
    for live, other in pairs:
        _structures(live, other, seen)
        _numbers(live, other, seen)
    return [_summary(what, one) for what, one in sorted(seen.items())]


def dice(one: Mask, other: Mask) -> float:
    """Return the overlap of two masks of one shape, plane by plane; 1 where both are empty."""
    planes = range(one.shape[0])
    both = sum(int(np.count_nonzero(one.plane(z) & other.plane(z))) for z in planes)
    sizes = int(one.counts.sum()) + int(other.counts.sum())
    return 2 * both / sizes if sizes else 1.0


def _structures(live: Findings, other: Findings, seen: dict[str, _Seen]) -> None:
    first = {one.label: one.voxels for one in live.segments if one.voxels.counts.any()}
    second = {one.label: one.voxels for one in other.segments if one.voxels.counts.any()}
    for label in {*first, *second}:
        one, two = first.get(label), second.get(label)
        if one is None or two is None or one.shape != two.shape:
            seen[label].only_live += one is not None
            seen[label].only_other += two is not None
            continue
        size = int(one.counts.sum())
        seen[label].dice.append(dice(one, two))
        seen[label].differences.append(100 * (int(two.counts.sum()) - size) / size)


def _numbers(live: Findings, other: Findings, seen: dict[str, _Seen]) -> None:
    first, second = dict(_values(live)), dict(_values(other))
    if live.detections or other.detections:
        first["Detections"] = (float(len(live.detections)), "1")
        second["Detections"] = (float(len(other.detections)), "1")
    for key, (value, unit) in first.items():
        if key not in second:
            seen[key].only_live += 1
            continue
        seen[key].unit = unit
        seen[key].differences.append(second[key][0] - value)
    for key in second.keys() - first.keys():
        seen[key].only_other += 1


def _values(findings: Findings) -> Iterator[tuple[str, tuple[float, str]]]:
    for one in findings.measurements:
        if one.value is not None:
            words = (one.of, one.name.meaning, one.derivation and one.derivation.meaning)
            yield ": ".join(word for word in words if word), (one.value, one.unit.value)
    for each in findings.classifications:
        if each.probability is not None:
            yield f"{each.label}: probability", (100 * each.probability, "%")


def _summary(what: str, seen: _Seen) -> Agreement:
    differences = seen.differences
    mean = statistics.fmean(differences) if differences else None
    spread = statistics.stdev(differences) if len(differences) > 1 else None
    return Agreement(
        what=what,
        unit=seen.unit,
        studies=len(differences),
        only_live=seen.only_live,
        only_other=seen.only_other,
        mean_dice=statistics.fmean(seen.dice) if seen.dice else None,
        lowest_dice=min(seen.dice, default=None),
        mean_difference=mean,
        lower_limit=None if mean is None or spread is None else mean - LIMITS * spread,
        upper_limit=None if mean is None or spread is None else mean + LIMITS * spread,
    )
