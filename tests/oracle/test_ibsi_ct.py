"""Every feature against the published values of the IBSI CT phantom, from its DICOM images and its RT Structure Set."""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medaet.dicom.drawing import with_regions
from medaet.dicom.volume import Volume, read_volume
from tests.ibsi import CONFIGURATIONS, RECORDED, compared

pytestmark = pytest.mark.oracle

PHANTOM = "radiomics_phantom_dicom/pat_1/"
VOXELS = 125_256
"""Of the tumour, as the manual counts them."""


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    folder = tmp_path_factory.mktemp("phantom")
    (wheel,) = Path(sys.prefix).glob("pycerr-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if PHANTOM in name:
                (folder / Path(name).name).write_bytes(archive.read(name))
    volume = read_volume(sorted(folder.glob("DCM_IMG*")))
    return with_regions(volume, sorted(folder.glob("DCM_RS*")))


def test_contours_fill_as_many_voxels_as_the_manual_counts(phantom: Volume) -> None:
    (region,) = phantom.regions
    assert (region.label, int(region.mask.sum())) == ("GTV-1", VOXELS)


@pytest.mark.parametrize("column", sorted(CONFIGURATIONS))
def test_every_reference_value_is_met_within_the_published_tolerance(
    column: str, phantom: Volume
) -> None:
    (region,) = phantom.regions
    voxels = phantom.voxels.astype(np.int16)
    found = compared(column, voxels, region.mask, phantom.spacing_mm)
    assert len(found) == (346 if column in "AB" else 210)
    assert not [one for one in found if not one.agrees]
    recorded = json.loads(RECORDED.read_text())[column]
    assert {one.tag: one.ours for one in found} == pytest.approx(recorded, rel=1e-6)
