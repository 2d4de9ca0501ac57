"""The reference data of the Image Biomarker Standardisation Initiative, and how our values compare with them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medaet.compute.features.extract import Value, extract
from medaet.dicom.ibsi import DIRECTIONAL, FAMILIES, Aggregation, Feature
from medaet.plugin.features import FeatureSettings

TABLE = Path(__file__).parent / "data" / "ibsi" / "reference_values.tsv"
RECORDED = TABLE.with_name("ct_phantom.json")
"""Our values of the CT phantom, by configuration and tag, as `make oracle` last found them."""

SIGNIFICANT_DIGITS = 3
"""How many the manual prints; where it names no tolerance, all of them must agree."""

FLAT = tuple(one for one in Aggregation if one.space != "3d")
SPATIAL = tuple(one for one in Aggregation if one.space == "3d")

DIGITAL = FeatureSettings(bin_width=1, aggregations=tuple(Aggregation))
CONFIGURATIONS = {
    "A": FeatureSettings(bin_width=25, value_range=(-500, 400), aggregations=FLAT),
    "B": FeatureSettings(
        bins=32,
        spacing_mm=(None, 2, 2),
        rounded=True,
        value_range=(-500, 400),
        aggregations=FLAT,
    ),
    "C": FeatureSettings(
        bin_width=25,
        spacing_mm=(2, 2, 2),
        rounded=True,
        value_range=(-1000, 400),
        ivh_bin_width=2.5,
        aggregations=SPATIAL,
    ),
    "D": FeatureSettings(
        bins=32, spacing_mm=(2, 2, 2), rounded=True, outlier_sigmas=3, aggregations=SPATIAL
    ),
    "E": FeatureSettings(
        bins=32,
        spacing_mm=(2, 2, 2),
        interpolation="cubic",
        rounded=True,
        value_range=(-1000, 400),
        outlier_sigmas=3,
        ivh_bins=1000,
        aggregations=SPATIAL,
    ),
}
"""Processing of the CT phantom (manual, Reference data sets, Configurations)."""

PHANTOM_SPACING_MM = (2.0, 2.0, 2.0)
_PHANTOM = """
    14411 14611 41641 44641
    14411 11611 11311 44611
    14411 11111 11911 11611
    14411 11111 11111 11611
"""
_PHANTOM_MASK = """
    11111 11111 11111 11111
    11111 11111 01111 11111
    11100 11111 11011 11111
    11100 11111 11111 11111
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One reference value beside ours.

    Attributes:
        tag: IBSI's name, with the aggregation.
        ours: None where we find the feature undefined.
        tolerance: The manual's, or half of the last printed digit.
    """

    tag: str
    feature: Feature
    ours: float | None
    reference: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        return self.ours is not None and abs(self.ours - self.reference) <= self.tolerance


def digital_phantom() -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Return values and mask, (slice, row, column)."""
    return _digits(_PHANTOM).astype(np.int16), _digits(_PHANTOM_MASK) > 0


def compared(
    column: str, image: NDArray[np.int16], mask: NDArray[np.bool_], spacing_mm: tuple[float, ...]
) -> list[Comparison]:
    """Compute all features under a configuration and put each reference value beside ours."""
    settings = CONFIGURATIONS.get(column, DIGITAL)
    (values,) = extract(
        torch.from_numpy(image), [torch.from_numpy(mask)], spacing_mm, settings, FAMILIES
    )
    ours = {tagged(value): value for value in values}
    return [
        Comparison(tag, ours[tag].feature, ours[tag].value, reference, tolerance)
        for tag, (reference, tolerance) in reference_values(column).items()
    ]


def tagged(value: Value) -> str:
    """Name a value as the table does."""
    return tag_of(value.feature, value.aggregation)


def tag_of(feature: Feature, aggregation: Aggregation | None) -> str:
    """Name a feature under an aggregation as the table does."""
    if aggregation is None:
        return feature.tag
    space = aggregation.space.upper().replace(".", "_")
    if feature.family not in DIRECTIONAL:
        return f"{feature.tag}_{space}"
    merged = aggregation.value.endswith("merged")
    return f"{feature.tag}_{space}_{'comb' if merged else 'avg'}"


def reference_values(column: str) -> Mapping[str, tuple[float, float]]:
    """Read reference values and tolerances of "digital" or a configuration, by tag."""
    return dict(_cells(column))


def _cells(column: str) -> Iterator[tuple[str, tuple[float, float]]]:
    names, *rows = (line.split("\t") for line in TABLE.read_text().splitlines())
    at = names.index(column)
    for row in rows:
        text, _, tolerance = row[at].partition(":")
        if text != "-":
            value = float(text)
            yield row[0], (value, max(float(tolerance or 0), _half_digit(value)))


def _half_digit(value: float) -> float:
    if value == 0:
        return 0.0005
    magnitude = math.floor(math.log10(abs(value)))
    return 0.5 * 10.0 ** (magnitude - SIGNIFICANT_DIGITS + 1) * (1 + 1e-9)


def _digits(text: str) -> NDArray[np.int64]:
    rows = [
        [list(map(int, row)) for row in line.split()] for line in text.split("\n") if line.strip()
    ]
    return np.array(rows)
