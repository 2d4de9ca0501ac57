"""Who is learned from, who decides when to stop, and who judges: whole patients, never slices or scans."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from medaet.compute.training.case import Case
from medaet.config.training import SplitName
from medaet.errors import ConfigError

SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
FEWEST_FOR_VALIDATION = 4
"""With fewer patients there is nobody to spare for early stopping: a test patient comes first."""


def split(
    cases: Sequence[Case], *, validation_share: float, test_share: float, seed: int
) -> list[Case]:
    """Give every case a split.

    Patients are put in order by a hash of seed and patient: who is added later moves as few of the others as can be.

    Args:
        cases: With the splits that their sources fixed, else "auto".
        validation_share: Of the patients, for early stopping.
        test_share: Of the patients, for the figures of the report.
        seed: Decides the draw.

    Raises:
        ConfigError: a patient is in two splits, or nobody is left to train on.
    """
    fixed = _fixed(cases)
    free = sorted(
        {case.patient_key for case in cases} - set(fixed), key=lambda key: _order(key, seed)
    )
    wanted = {
        "test": _count(len(free), test_share, fixed, "test", fewest=2),
        "validation": _count(
            len(free), validation_share, fixed, "validation", fewest=FEWEST_FOR_VALIDATION
        ),
    }
    drawn = dict(fixed)
    for number, key in enumerate(free):
        if number < wanted["test"]:
            drawn[key] = "test"
        elif number < wanted["test"] + wanted["validation"]:
            drawn[key] = "validation"
        else:
            drawn[key] = "train"
    if "train" not in drawn.values():
        raise ConfigError(
            "no patient is left to train on; add scans, or change the splits of the sources"
        )
    return [replace(case, split=drawn[case.patient_key]) for case in cases]


def check_contents(digests: Mapping[str, str], cases: Sequence[Case]) -> None:
    """Refuse one and the same image in two splits, whatever patients it is said to be of.

    Args:
        digests: SHA-256 of the voxels, by case name.
        cases: With their splits.

    Raises:
        ConfigError: names the two cases.
    """
    seen: dict[str, Case] = {}
    for case in cases:
        other = seen.setdefault(digests[case.name], case)
        if other.split != case.split:
            raise ConfigError(
                f"cases {other.name} ({other.split}) and {case.name} ({case.split}) are the same image: the figures "
                "would be of something learned by heart; take one out"
            )


def _fixed(cases: Sequence[Case]) -> dict[str, SplitName]:
    fixed: dict[str, SplitName] = {}
    for case in cases:
        if case.split == "auto":
            continue
        other = fixed.setdefault(case.patient_key, case.split)
        if other != case.split:
            raise ConfigError(
                f"a patient is in two splits, {other} and {case.split} (case {case.name}): the figures would be of "
                "something learned by heart; put all scans of a patient into one"
            )
    return fixed


def _count(
    patients: int, share: float, fixed: Mapping[str, SplitName], name: SplitName, *, fewest: int
) -> int:
    """Say how many patients a split draws: at least one when there are enough, none when the sources filled it."""
    if share == 0 or name in fixed.values() or patients < fewest:
        return 0
    return max(1, round(share * patients))


def _order(key: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {key}".encode()).hexdigest()
