"""Every feature against the published values of the IBSI digital phantom; the CT phantom is for `make oracle`."""

import pytest

from medaet.dicom.ibsi import FEATURES, Aggregation
from tests.features_page import PAGE, page
from tests.ibsi import (
    PHANTOM_SPACING_MM,
    Comparison,
    compared,
    digital_phantom,
    reference_values,
)

NOT_STANDARDISED = {"morph_vol_dens_ombb", "morph_area_dens_ombb", "ivh_auc"}


@pytest.fixture(scope="module")
def comparisons() -> list[Comparison]:
    return compared("digital", *digital_phantom(), PHANTOM_SPACING_MM)


def test_phantom_has_the_voxels_of_the_manual() -> None:
    image, mask = digital_phantom()
    assert image.shape == (4, 4, 5)
    assert mask.sum() == 74
    assert set(image[mask].tolist()) == {1, 3, 4, 6}


def test_every_reference_value_is_met_within_the_published_tolerance(
    comparisons: list[Comparison],
) -> None:
    assert len(comparisons) == 482
    assert not [one for one in comparisons if not one.agrees]


def test_every_feature_and_aggregation_has_a_reference_value() -> None:
    known = {tag for column in ("digital", "C") for tag in reference_values(column)}
    missing = {
        tag
        for tag, feature in FEATURES.items()
        if not any(one.startswith(tag) for one in known) and not feature.has_aggregations
    }
    assert missing == NOT_STANDARDISED
    suffixes = {one.space for one in Aggregation}
    assert suffixes == {"2d", "2.5d", "3d"}


def test_codes_are_unique_but_for_aggregations() -> None:
    codes = [feature.code for feature in FEATURES.values()]
    assert len(set(codes)) == len(codes)


def test_page_of_features_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.features_page"
