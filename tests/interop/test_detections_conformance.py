"""Reports of boxes and classes, as programs of others read them."""

import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from medaet import Box, Classification, Detection, Findings, Measurement
from medaet.dicom.codes import LUNG, Code
from medaet.results.objects import Source
from medaet.results.recipe import Recipe, ReportForm
from medaet.testing.run import encoded, source_of
from tests.peers import system_program
from tests.readers import errors_by_dciodvfy

pytestmark = pytest.mark.interop

NODULE = Code("27925004", "SCT", "Nodule")
BOX = Box((3.5, 101.25, 60), (12, 130, 88.75))
FOUND = Findings(
    detections=[
        Detection("Nodule 1", BOX, NODULE, 0.875, anatomic_region=LUNG),
        Detection("Nodule 2", Box((20, 200, 220), (24, 212, 230)), NODULE, 0.5),
    ],
    classifications=[
        Classification("Emphysema", Code("87433001", "SCT", "Emphysema"), True, 0.93),
        Classification("Pneumonia", Code("233604007", "SCT", "Pneumonia"), False, 0.02),
    ],
    measurements=[
        Measurement(Code("424144002", "SCT", "Age"), 63.5, Code("a", "UCUM", "year")),
    ],
)


@pytest.fixture
def chest(scans: Path) -> Source:
    return source_of(sorted((scans / "chest_ct").glob("*.dcm")))


def report(source: Source, folder: Path, *, three_dimensional: bool = True) -> Path:
    recipe = Recipe(report=ReportForm(three_dimensional=three_dimensional))
    (made,) = encoded(FOUND, source, recipe=recipe, folder=folder)
    return made.path


@pytest.mark.parametrize("three_dimensional", [True, False])
def test_dciodvfy_finds_no_errors(chest: Source, tmp_path: Path, three_dimensional: bool) -> None:
    path = report(chest, tmp_path, three_dimensional=three_dimensional)
    assert errors_by_dciodvfy(path) == []


def test_dcmtk_reads_the_corners_of_a_box_within_a_thousandth_of_a_millimetre(
    chest: Source, tmp_path: Path
) -> None:
    command = [system_program("dsr2xml"), str(report(chest, tmp_path))]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    tree = ET.fromstring(done.stdout)
    plain = {one: one.tag.rpartition("}")[2] for one in tree.iter()}
    points = [
        [float(part) for part in (one.text or "").replace("/", ",").split(",")]
        for one, tag in plain.items()
        if tag == "data" and (one.text or "").count("/") >= 4
    ]
    assert len(points) == 12  # six faces of each box
    affine = chest.volumes["ct"].affine
    corners = BOX.corners()[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
    found = np.unique(np.round(np.array(points[:6]).reshape(-1, 3), 4), axis=0)
    assert len(found) == 8
    away = np.linalg.norm(found[:, None] - corners[None], axis=2)
    assert sorted(away.argmin(axis=1).tolist()) == list(range(8))
    assert away.min(axis=1).max() < 1e-3


def test_dsrdump_prints_boxes_classes_and_numbers(chest: Source, tmp_path: Path) -> None:
    command = [system_program("dsrdump"), str(report(chest, tmp_path))]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    printed = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert printed.count('SCOORD3D:(,,"Volume Surface")=(POLYGON') == 12
    assert 'NUM:(,,"Certainty of Finding")="87.5" (%,UCUM,"percent")' in printed
    assert 'CODE:(,,"Emphysema")=(260373001,SCT,"Detected")' in printed
    assert 'CODE:(,,"Pneumonia")=(260415000,SCT,"Not detected")' in printed
    assert 'NUM:(,,"Age")="63.5" (a,UCUM,"year")' in printed
    assert not [line for line in printed.splitlines() if line.startswith("E:")]
