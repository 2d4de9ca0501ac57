"""Measurements without a value: a report has no place for a number that is none, so it says them in words."""

from collections import defaultdict
from dataclasses import replace

from medaet.plugin.findings import Findings

NAMED = 12
"""How many measurements a sentence names before it counts the rest."""


def spoken(findings: Findings) -> Findings:
    """Take the measurements without a value out, and add a remark for each reason and segment instead."""
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in findings.measurements:
        if item.absent:
            names[item.of or "Series", item.absent].append(item.name.meaning)
    remarks = [
        f"{of}: no value for {_listed(list(dict.fromkeys(some)))}, because {reason}."
        for (of, reason), some in names.items()
    ]
    return replace(
        findings,
        measurements=tuple(item for item in findings.measurements if not item.absent),
        remarks=(*findings.remarks, *remarks),
    )


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more measurements" if more > 0 else "")
