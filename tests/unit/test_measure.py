"""Feature requests among findings, and what becomes of them."""

import numpy as np
import pytest

from medaet import FeatureSettings, Findings, Measurement, Segment, Volume
from medaet.compute.features.measure import measured
from medaet.dicom.codes import LUNG, VOLUME
from medaet.errors import FindingsError

SETTINGS = FeatureSettings(bins=8, ivh_bins=100)


def _volume(modality: str = "MR") -> Volume:
    voxels = np.random.default_rng(0).integers(0, 100, (4, 6, 5)).astype(np.int16)
    return Volume(voxels, np.diag([1.0, 1.0, 2.0, 1.0]), modality)


def _findings(*measurements: Measurement) -> Findings:
    ones, half = np.ones((4, 6, 5), bool), np.zeros((4, 6, 5), bool)
    half[:2] = True
    return Findings([Segment("Whole", ones, LUNG), Segment("Half", half, LUNG)], measurements)


def _features(of: str, *families: str, settings: FeatureSettings = SETTINGS) -> Measurement:
    return Measurement.features(of=of, families=families, settings=settings)


def test_requests_become_measurements_in_their_place() -> None:
    findings = _findings(
        _features("Half", "statistics"), Measurement.volume(of="Whole"), _features("Whole", "ngtdm")
    )
    found = measured(findings, {"mr": _volume()}, "cpu")
    names = [(item.of, item.name.value) for item in found.measurements]
    assert names[0] == ("Half", "Q4LE")
    assert names[18] == ("Whole", VOLUME.value)
    assert len(names) == 18 + 1 + 5
    expected = float(_volume().voxels[:2].mean())
    assert found.measurements[0].value == pytest.approx(expected)


def test_units_are_those_of_the_modality() -> None:
    for modality, unit in (("CT", "[hnsf'U]"), ("MR", "1")):
        found = measured(
            _findings(_features("Half", "statistics")), {"x": _volume(modality)}, "cpu"
        )
        assert found.measurements[0].unit.value == unit


def test_features_of_a_segment_under_two_settings_are_refused() -> None:
    other = FeatureSettings(bins=16)
    findings = _findings(_features("Half", "glcm"), _features("Half", "ngtdm", settings=other))
    with pytest.raises(FindingsError, match="'Half' are asked for under two settings"):
        measured(findings, {"mr": _volume()}, "cpu")


def test_mask_of_another_shape_is_refused_before_it_is_measured() -> None:
    findings = Findings([Segment("Odd", np.ones((1, 2, 3)), LUNG)], [_features("Odd", "glcm")])
    with pytest.raises(FindingsError, match="the mask has shape"):
        measured(findings, {"mr": _volume()}, "cpu")


def test_requests_that_nobody_computed_are_no_result() -> None:
    with pytest.raises(FindingsError, match="the features of 'Half' were not computed"):
        _findings(_features("Half", "glcm")).resolved({"mr": _volume()})


def test_features_of_an_unknown_segment_are_refused() -> None:
    with pytest.raises(FindingsError, match="names 'Tail'"):
        _findings(_features("Tail", "glcm"))
