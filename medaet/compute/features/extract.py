"""Features of segments: each is cut out and processed, then measured; textures are measured for many together.

Memory is bounded: shape and values take about 40 bytes for each voxel of a bounding box, textures about 120 for each
voxel of a region, and as many regions are looked at together as fit into a fixed number of voxels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import torch

from medaet.compute.features.field import field
from medaet.compute.features.ivh import intensity_volume
from medaet.compute.features.local import local_intensity
from medaet.compute.features.morphology import morphology
from medaet.compute.features.region import Region, levels, region_of
from medaet.compute.features.statistics import Numbers, histogram, statistics
from medaet.compute.features.textures import Textures
from medaet.dicom.ibsi import FEATURES, TEXTURES, Aggregation, Feature
from medaet.errors import FindingsError
from medaet.plugin.features import MAXIMUM_BINS, FeatureSettings

PAIRWISE = frozenset({"morph_moran_i", "morph_geary_c"})
BATCH_VOXELS = 1 << 21
BATCH_CELLS = 1 << 22
"""Regions are batched up to so many voxels, and cells of co-occurrence matrices."""


@dataclass(frozen=True, slots=True)
class Value:
    """One feature of one segment.

    Attributes:
        feature: Which.
        aggregation: Of a texture feature; None for others.
        value: None where the feature is not defined.
        reason: Why it is not; empty where it is.
    """

    feature: Feature
    aggregation: Aggregation | None
    value: float | None
    reason: str = ""


def extract(
    image: torch.Tensor,
    masks: Sequence[torch.Tensor],
    spacing_mm: Sequence[float],
    settings: FeatureSettings,
    families: Sequence[str],
) -> list[list[Value]]:
    """Compute features of segments of one image.

    Args:
        image: Voxel values (slice, row, column), on the device to compute on.
        masks: Boolean, of the shape and on the device of the image; they may overlap.
        spacing_mm: Along (slice, row, column).
        settings: The processing before.
        families: Of `medaet.dicom.ibsi.FAMILIES`.

    Returns:
        For each mask its values, in the order of the catalogue; aggregation by aggregation.

    Raises:
        FindingsError: the discretisation makes more bins than a matrix can have.
    """
    regions = [region_of(image, mask, spacing_mm, settings) for mask in masks]
    found = [_first_order(region, settings, families) for region in regions]
    textures = [family for family in families if family in TEXTURES]
    tables: list[dict[tuple[str, Aggregation | None], float]] = [
        {(tag, None): value for tag, value in numbers.items()} for numbers in found
    ]
    for batch in _batches(regions, settings) if textures else ():
        for number, values in _textures(batch, textures, settings):
            tables[number].update(values)
    wanted = [feature for feature in FEATURES.values() if feature.family in families]
    return [
        list(_values(table, region, wanted, settings))
        for table, region in zip(tables, regions, strict=True)
    ]


def _first_order(region: Region, settings: FeatureSettings, families: Sequence[str]) -> Numbers:
    numbers: Numbers = {}
    if "morphology" in families and region.shape.any():
        numbers |= morphology(region)
    if not region.mask.any():
        return numbers
    if "local" in families:
        numbers |= local_intensity(region)
    if "statistics" in families:
        numbers |= statistics(region.inside)
    if "histogram" in families:
        numbers |= histogram(*_binned(region, settings))
    if "ivh" in families:
        numbers |= intensity_volume(region, settings)
    return numbers


def _binned(region: Region, settings: FeatureSettings) -> tuple[torch.Tensor, int]:
    """Discretise a region for histogram and textures; return its bin numbers, and how many bins there are."""
    level = levels(region, settings.bins, settings.bin_width)
    bins = settings.bins or int(level.max())
    if bins > MAXIMUM_BINS:
        raise FindingsError(
            f"feature settings: bins of width {settings.bin_width:g} make {bins} bins of this region, more than "
            f"{MAXIMUM_BINS}; take wider ones"
        )
    return level, bins


@dataclass(frozen=True, slots=True, eq=False)
class _Discretised:
    number: int
    region: Region
    level: torch.Tensor
    bins: int


def _batches(regions: Sequence[Region], settings: FeatureSettings) -> Iterator[list[_Discretised]]:
    """Discretise regions, and gather them until a batch is full."""
    batch: list[_Discretised] = []
    for number, whole in enumerate(regions):
        region = whole.trimmed()
        if not region.mask.any():
            continue
        one = _Discretised(number, region, *_binned(region, settings))
        if batch and _is_full([*batch, one]):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _is_full(batch: Sequence[_Discretised]) -> bool:
    voxels = sum(one.region.mask.numel() for one in batch)
    cells = len(batch) * max(one.bins for one in batch) ** 2
    return voxels > BATCH_VOXELS or cells > BATCH_CELLS


def _textures(
    batch: Sequence[_Discretised], families: Sequence[str], settings: FeatureSettings
) -> Iterator[tuple[int, dict[tuple[str, Aggregation | None], float]]]:
    masks = [one.region.mask for one in batch]
    textures = Textures(
        field(masks, [one.level for one in batch], [one.bins for one in batch]),
        [one.region.shape for one in batch],
        masks,
    )
    tables: list[dict[tuple[str, Aggregation | None], float]] = [{} for _ in batch]
    for family in families:
        for aggregation in settings.aggregations:
            for tag, values in textures.features(family, aggregation).items():
                for table, value in zip(tables, values.tolist(), strict=True):
                    table[tag, aggregation] = value
    for one, table in zip(batch, tables, strict=True):
        yield one.number, table


def _values(
    table: Mapping[tuple[str, Aggregation | None], float],
    region: Region,
    wanted: Sequence[Feature],
    settings: FeatureSettings,
) -> Iterator[Value]:
    for aggregation in (None, *settings.aggregations):
        for feature in wanted:
            if feature.has_aggregations == (aggregation is None):
                continue
            value = table.get((feature.tag, aggregation))
            if value is not None and isfinite(value):
                yield Value(feature, aggregation, value)
            else:
                yield Value(feature, aggregation, None, _reason(region, feature))


def _reason(region: Region, feature: Feature) -> str:
    """Say why a feature has no value, as plainly as the region allows."""
    values = region.inside
    count = values.numel()
    reasons = (
        (not region.is_drawn, "the segment is empty"),
        (not region.shape.any(), "the segment is too small for the voxels it is interpolated to"),
        (not count, "re-segmentation left no voxel"),
        (count == 1, "the segment has one voxel"),
        (count and values.min() == values.max(), "all voxels have the same value"),
        (feature.tag in PAIRWISE, "the segment is too large for sums over all pairs of voxels"),
    )
    otherwise = "the formula divides by zero on this segment"
    return next((reason for holds, reason in reasons if holds), otherwise)
