"""Radiomic features as a CSV file, for spreadsheets and statistics."""

import csv
from collections.abc import Iterator
from pathlib import Path

from medaet.dicom.ibsi import FEATURES
from medaet.plugin.findings import Findings

COLUMNS = (
    *("segment", "family", "tag", "feature", "code", "scheme", "aggregation"),
    *("value", "unit", "absent_because", "settings"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_features(path: Path, findings: Findings) -> None:
    """Write one row for each feature of each segment, with a header; other measurements are left out.

    Args:
        path: Where to; replaced when it exists.
        findings: As the analysis returned them, those without a value included.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_rows(findings))


def _rows(findings: Findings) -> Iterator[tuple[object, ...]]:
    known = {feature.code: feature for feature in FEATURES.values()}
    for item in findings.measurements:
        feature = known.get(item.name)
        if feature is None:
            continue
        yield (
            _harmless(item.of or ""),
            feature.family,
            feature.tag,
            item.name.meaning,
            item.name.value,
            item.name.scheme,
            item.method.meaning if item.method else "",
            "" if item.value is None else repr(item.value),
            item.unit.value,
            item.absent,
            "; ".join(item.parameters),
        )


def _harmless(text: str) -> str:
    """Keep a label from a peer from being a formula to a spreadsheet."""
    return f"'{text}" if text.startswith(_FORMULA) else text
