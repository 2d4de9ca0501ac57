"""The bundled analysis of what was drawn: which regions it measures, and on what terms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medaet import Findings, Volume
from medaet.compute.runtime import Runtime
from medaet.dicom.codes import NEOPLASM
from medaet.dicom.region import Region
from medaet.errors import GeometryError
from medaet.plugin.registry import discover
from medaet_plugins.tumour_features import processing

SHAPE = (4, 8, 8)


def _volume(*labels: str, modality: str = "CT") -> Volume:
    mask = np.zeros(SHAPE, bool)
    mask[1:3, 2:6, 2:6] = True
    regions = tuple(Region(label, mask, NEOPLASM, sop_instance_uid="1.2.3") for label in labels)
    voxels = np.random.default_rng(0).integers(0, 100, SHAPE).astype(np.int16)
    return replace(Volume(voxels, np.eye(4), modality), regions=regions)


def _analysed(volume: Volume, settings: dict[str, object] | None = None) -> Findings:
    analysis = discover().with_settings("tumour-features", settings or {})
    return analysis.analyse({"image": volume}, Runtime("cpu"))


def test_every_region_is_measured_and_its_origin_said() -> None:
    findings = _analysed(_volume("GTV", "Node"))
    assert [segment.label for segment in findings.segments] == ["GTV", "Node"]
    assert [item.of for item in findings.measurements] == ["GTV", "Node"]
    assert "Regions drawn by SOP Instance UID 1.2.3." in findings.remarks


def test_labels_choose_regions_without_regard_to_case() -> None:
    findings = _analysed(_volume("GTV", "Lung"), {"labels": ["gtv"], "families": ["glcm"]})
    (item,) = findings.measurements
    assert item.request is not None
    assert (item.of, item.request.families) == ("GTV", ("glcm",))


def test_objects_without_a_wanted_region_are_an_error_that_names_those_there() -> None:
    with pytest.raises(GeometryError, match="the objects draw Lung, Heart"):
        _analysed(_volume("Lung", "Heart"), {"labels": ["GTV"]})


def test_processing_of_mr_does_not_take_its_values_for_calibrated() -> None:
    ct, mr = processing("CT", 2.0), processing("MR", 1.0)
    assert (ct.bin_width, ct.value_range, ct.rounded) == (25, (-1000, 400), True)
    assert (mr.bins, mr.value_range, mr.rounded, mr.ivh_bins) == (32, None, False, 1000)


def test_card_of_the_analysis_says_that_it_is_not_for_diagnosis() -> None:
    card = Path(discover().analyses["tumour-features"].resource("MODEL_CARD.md"))
    assert "Not for diagnostic use" in card.read_text()
