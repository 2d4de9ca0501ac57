"""tumour-features: an image, what was drawn on it later, and the report of features in the PACS, all over DICOM."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from pydicom import Dataset

from medaet import FeatureSettings
from medaet.compute.features.extract import extract
from medaet.demo.run import await_daemon
from medaet.demo.site import Site, site
from medaet.dicom.ibsi import FAMILIES, aggregation_code
from medaet.dicom.volume import read_volume
from medaet.testing.drawing import write_structures
from medaet.testing.phantom import write_series
from medaet_plugins.tumour_features import processing
from tests.acceptance.hospital import objects_by_study, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

SHAPE = (10, 40, 40)
SPACING = (3.0, 1.0, 1.0)
BOX = [(9.5, 11.5), (28.5, 11.5), (28.5, 30.5), (9.5, 30.5)]
SLICES = range(2, 8)


def _series(folder: Path) -> list[Path]:
    """Write a CT with a textured block of soft tissue in air."""
    rng = np.random.default_rng(0)
    voxels = np.full(SHAPE, -900, np.int16)
    voxels[2:8, 12:31, 10:29] = rng.integers(-80, 120, (6, 19, 19))
    return write_series(folder, voxels=voxels, spacing_mm=SPACING)


def _routed(one: Site) -> None:
    text = one.config_file.read_text()
    one.config_file.write_text(text.replace('"chest-ct", "brain-mr"', '"tumour-features"'))


def _numbers(report: Dataset) -> dict[tuple[str, str], float]:
    found = {}
    stack = list(report.ContentSequence)
    while stack:
        item = stack.pop()
        children = list(item.get("ContentSequence", []))
        stack += children
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodingSchemeDesignator in (
            "IBSI",
            "99MEDAET",
        ):
            method = [one.ConceptCodeSequence[0].CodeValue for one in children]
            value = item.MeasuredValueSequence[0].FloatingPointValue
            found[item.ConceptNameCodeSequence[0].CodeValue, "".join(method)] = float(value)
    return found


def _expected(images: list[Path], settings: FeatureSettings) -> dict[tuple[str, str], float]:
    volume = read_volume(images)
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[2:8, 12:31, 10:29] = True
    (values,) = extract(
        torch.from_numpy(volume.voxels), [mask], volume.spacing_mm, settings, FAMILIES
    )
    return {
        (
            one.feature.code.value,
            aggregation_code(one.feature, one.aggregation).value if one.aggregation else "",
        ): one.value
        for one in values
        if one.value is not None
    }


def test_structures_that_come_after_their_series_become_a_report_of_features(
    tmp_path: Path,
) -> None:
    images = _series(tmp_path / "ct")
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    contours = [[(x, y, z * SPACING[0]) for x, y in BOX] for z in SLICES]
    write_structures(drawn / "rt.dcm", images, {"GTV": contours})
    with site(tmp_path / "site") as one:
        _routed(one)
        one.start_pacs()
        one.start_daemon()
        assert await_daemon(one)
        assert one.scan(tmp_path / "ct").wait(60) == 0
        assert one.scan(drawn).wait(60) == 0
        wait_until(lambda: objects_by_study(one.archive).total() == 2, 150, "SEG and SR arrive")
        held = {
            str(dataset.Modality): dataset
            for dataset in (pydicom.dcmread(path) for path in one.archive.glob("*.dcm"))
        }
        found, expected = _numbers(held["SR"]), _expected(images, processing("CT", 2.0))
        assert found.keys() == expected.keys()
        assert len(found) == 172
        assert all(found[key] == pytest.approx(expected[key], rel=1e-9) for key in found)
        assert held["SEG"].SegmentSequence[0].SegmentLabel == "GTV"
