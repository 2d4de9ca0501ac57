"""Writes the tables of docs/features.md: every feature, what we find and what IBSI publishes.

python -m tests.features_page
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from medaet.dicom.ibsi import FAMILIES, FEATURES, Aggregation, aggregation_code
from tests.ibsi import (
    CONFIGURATIONS,
    PHANTOM_SPACING_MM,
    RECORDED,
    compared,
    digital_phantom,
    reference_values,
    tag_of,
)

PAGE = Path(__file__).parents[1] / "docs" / "features.md"
MARK = "<!-- from here on: python -m tests.features_page -->"
TITLES = {
    "morphology": "Morphology",
    "local": "Local intensity",
    "statistics": "Intensity-based statistics",
    "histogram": "Intensity histogram",
    "ivh": "Intensity-volume histogram",
    "glcm": "Grey level co-occurrence matrix",
    "glrlm": "Grey level run length matrix",
    "glszm": "Grey level size zone matrix",
    "gldzm": "Grey level distance zone matrix",
    "ngtdm": "Neighbourhood grey tone difference matrix",
    "ngldm": "Neighbouring grey level dependence matrix",
}
COLUMNS = ("digital", *CONFIGURATIONS)
Found = Mapping[str, Mapping[str, float | None]]


def tables() -> str:
    """Compute the digital phantom, read what was recorded of the CT phantom, and return all tables."""
    digital = compared("digital", *digital_phantom(), PHANTOM_SPACING_MM)
    found: Found = {
        "digital": {one.tag: one.ours for one in digital},
        **json.loads(RECORDED.read_text()),
    }
    return "\n".join(line for family in FAMILIES for line in _table(family, found))


def page() -> str:
    """Return the page with fresh tables."""
    text, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    return f"{text}{MARK}\n{tables()}\n"


def _table(family: str, found: Found) -> Iterator[str]:
    heads = ["digital phantom", *(f"CT, {column}" for column in CONFIGURATIONS)]
    yield f"\n### {TITLES[family]}"
    yield f"| feature | id | aggregation | {' | '.join(heads)} |"
    yield f"|---|---|---|{'---|' * len(heads)}"
    known = {column: reference_values(column) for column in COLUMNS}
    for feature in FEATURES.values():
        if feature.family != family:
            continue
        tags: dict[str, Aggregation | None] = {tag_of(feature, None): None}
        if feature.has_aggregations:
            tags = {tag_of(feature, one): one for one in reversed(Aggregation)}
        for tag, aggregation in tags.items():
            how = aggregation_code(feature, aggregation) if aggregation else None
            cells = [_cell(found[one].get(tag), known[one].get(tag)) for one in COLUMNS]
            said = f"{how.meaning} ({how.value})" if how else ""
            yield f"| {feature.code.meaning} | {feature.code.value} | {said} | {' | '.join(cells)} |"


def _cell(ours: float | None, reference: tuple[float, float] | None) -> str:
    if reference is None:
        return "-"
    value, tolerance = reference
    assert ours is not None
    return f"{ours:.4g} ({value:.3g} ± {tolerance:.2g})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
