"""Features of regions that are easy to get wrong: empty, of one voxel, flat, as large as the image, many at once."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from medaet.compute.features import extract as module
from medaet.compute.features.extract import Value, extract
from medaet.compute.features.field import field
from medaet.compute.features.zones import zones
from medaet.dicom.ibsi import FAMILIES, Aggregation
from medaet.errors import FindingsError
from medaet.plugin.features import FeatureRequest, FeatureSettings

SETTINGS = FeatureSettings(bin_width=25, aggregations=tuple(Aggregation))
SHAPE = (6, 9, 8)
SPACING = (2.0, 1.0, 1.5)


def _image(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-200, 200, SHAPE).astype(np.int16))


def _all(mask: torch.Tensor, settings: FeatureSettings = SETTINGS) -> dict[str, list[Value]]:
    (values,) = extract(_image(), [mask], SPACING, settings, FAMILIES)
    named: dict[str, list[Value]] = {}
    for value in values:
        assert (value.value is None) == bool(value.reason)
        assert value.value is None or math.isfinite(value.value)
        named.setdefault(value.feature.tag, []).append(value)
    return named


def _numbers(values: list[Value]) -> list[float]:
    return [value.value or 0.0 for value in values]


def _one(mask: torch.Tensor, tag: str) -> Value:
    return _all(mask)[tag][0]


def test_features_of_an_empty_segment_say_so() -> None:
    found = _all(torch.zeros(SHAPE, dtype=torch.bool))
    assert {value.reason for some in found.values() for value in some} == {"the segment is empty"}


def test_features_of_one_voxel_are_its_value_or_a_reason() -> None:
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[2, 3, 4] = True
    found = {tag: some[0] for tag, some in _all(mask).items()}
    assert found["stat_mean"].value == float(_image()[2, 3, 4])
    assert found["stat_var"].value == 0
    assert found["morph_vol_approx"].value == pytest.approx(3)
    assert found["szm_zs_var"].value == 0
    for tag in ("cm_contrast", "morph_moran_i", "ngt_contrast", "morph_pca_flatness"):
        assert found[tag].reason == "the segment has one voxel"


def test_segment_that_is_lost_by_interpolation_says_so() -> None:
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[2, 3, 4] = True
    found = _all(mask, FeatureSettings(bin_width=25, spacing_mm=(5, 5, 5)))
    assert found["stat_mean"][0].reason.startswith("the segment is too small for the voxels")


def test_features_of_a_flat_region_are_defined_or_say_why() -> None:
    mask = torch.ones(SHAPE, dtype=torch.bool)
    flat = torch.full(SHAPE, 7, dtype=torch.int16)
    (values,) = extract(flat, [mask], SPACING, SETTINGS, FAMILIES)
    found = {value.feature.tag: value for value in values}
    assert found["stat_skew"].value == 0
    assert found["cm_joint_max"].value == 1
    assert found["cm_joint_entr"].value == 0
    assert found["ngt_coarseness"].value == 1e6
    assert found["ngt_contrast"].value == 0
    assert found["szm_z_perc"].value == pytest.approx(1 / mask.sum())
    assert found["cm_corr"].reason == "all voxels have the same value"
    assert found["morph_geary_c"].reason == "all voxels have the same value"


def test_features_of_the_whole_image_are_finite() -> None:
    found = _all(torch.ones(SHAPE, dtype=torch.bool))
    assert {tag for tag, some in found.items() if some[0].value is None} == set()


def test_features_of_a_single_slice_have_no_volume_around_them_but_a_shape() -> None:
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[3] = True
    assert _one(mask, "morph_pca_flatness").value == pytest.approx(0)
    assert _one(mask, "morph_area_dens_aee").reason


def test_re_segmentation_that_leaves_nothing_keeps_the_shape() -> None:
    settings = FeatureSettings(bin_width=25, value_range=(1000, 2000))
    found = _all(torch.ones(SHAPE, dtype=torch.bool), settings)
    assert found["morph_volume"][0].value is not None
    assert found["stat_mean"][0].reason == "re-segmentation left no voxel"


@pytest.mark.parametrize("batch", [1, 1 << 21])
def test_segments_together_have_the_features_they_have_alone(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    masks = [torch.from_numpy(rng.random(SHAPE) > share) for share in (0.2, 0.5, 0.7, 1.0)]
    alone = [extract(_image(), [mask], SPACING, SETTINGS, FAMILIES)[0] for mask in masks]
    monkeypatch.setattr(module, "BATCH_VOXELS", batch)
    together = extract(_image(), masks, SPACING, SETTINGS, FAMILIES)
    for one, two in zip(alone, together, strict=True):
        assert [value.reason for value in one] == [value.reason for value in two]
        assert np.allclose(_numbers(one), _numbers(two), rtol=1e-12)


def test_features_are_the_same_in_chunks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torch.from_numpy(np.random.default_rng(6).random(SHAPE) > 0.3)
    whole = extract(_image(), [mask], SPACING, SETTINGS, FAMILIES)[0]
    monkeypatch.setattr("medaet.compute.features.field.CHUNK_VOXELS", 7)
    monkeypatch.setattr("medaet.compute.features.entries.DENSE", 1)
    for name in ("cooccurrence.BLOCK", "surroundings.BLOCK", "zones.SLAB"):
        monkeypatch.setattr(f"medaet.compute.features.{name}", 1)
    parts = extract(_image(), [mask], SPACING, SETTINGS, FAMILIES)[0]
    assert np.allclose(_numbers(whole), _numbers(parts), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("directions", [4, 13])
def test_zones_are_the_connected_components_of_each_level(directions: int) -> None:
    level = torch.from_numpy(np.random.default_rng(7).integers(1, 4, (7, 30, 30)))
    mask = torch.ones_like(level, dtype=torch.bool)
    found = zones(field([mask], [level.flatten()], [3]), directions).view(level.shape)
    around = np.ones((3, 3, 3))
    if directions == 4:
        around[[0, 2]] = 0
    for number in (1, 2, 3):
        labels, count = ndimage.label(level.numpy() == number, around)
        inside = labels > 0
        pairs = set(zip(labels[inside].tolist(), found.numpy()[inside].tolist(), strict=True))
        assert len(pairs) == count == len({zone for _, zone in pairs})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "either bins or bin_width"),
        ({"bins": 8, "bin_width": 25.0}, "either bins or bin_width"),
        ({"bins": 0}, "bins is 0"),
        ({"bin_width": math.nan}, "bin_width is nan"),
        ({"bins": 8, "interpolation": "nearest"}, "expected linear or cubic"),
        ({"bins": 8, "spacing_mm": (1.0, 0.0, None)}, r"spacing_mm\[1\] is 0"),
        ({"bins": 8, "value_range": (5.0, 5.0)}, "the lower value first"),
        ({"bins": 8, "aggregations": ()}, "names none"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(FindingsError, match=said):
        FeatureSettings(**wrong)  # type: ignore[arg-type]


def test_unknown_family_is_refused() -> None:
    with pytest.raises(FindingsError, match="'wavelet'; there are morphology, local"):
        FeatureRequest("Tumour", ("wavelet",), SETTINGS)


def test_bins_without_end_are_refused() -> None:
    mask = torch.ones(SHAPE, dtype=torch.bool)
    with pytest.raises(FindingsError, match="take wider ones"):
        extract(_image(), [mask], SPACING, FeatureSettings(bin_width=0.01), ["glcm"])
    with pytest.raises(FindingsError, match="give ivh_bins"):
        extract(_image().float() * 1e6, [mask], SPACING, FeatureSettings(bins=8), ["ivh"])
