"""brain-mr on real heads."""

import gzip
import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medaet import Findings, Volume
from medaet.compute.runtime import Runtime
from medaet.dicom.volume import read_volume
from medaet.plugin.registry import discover
from medaet.precision import Terms

pytestmark = pytest.mark.slow


def _analysed(folder: Path) -> tuple[Volume, Findings]:
    volume = read_volume(sorted(folder.glob("*.dcm")))
    runtime = Runtime("cpu", terms=Terms(engine="eager"))
    analysis = discover().with_settings("brain-mr", {})
    analysis.load(runtime)
    inputs = {"mr": volume}
    return volume, analysis.analyse(inputs, runtime).resolved(inputs)


@pytest.fixture(scope="module")
def skull_stripped(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.bool_]:
    """The same template without its skull, which others made: ch2bet of Debian's package mricron-data."""
    folder = tmp_path_factory.mktemp("mricron")
    try:
        subprocess.run(
            ["apt-get", "download", "mricron-data"], cwd=folder, check=True, capture_output=True
        )
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        reason = "Debian's package mricron-data cannot be had"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    (path,) = folder.rglob("ch2bet.nii.gz")
    content = gzip.decompress(path.read_bytes())
    columns, rows, slices = struct.unpack_from(
        "<3h", content, 42
    )  # NIfTI-1, uint8, x fastest, RAS+
    voxels = np.frombuffer(content, np.uint8, columns * rows * slices, 352)
    return np.asarray(voxels.reshape(slices, rows, columns)[:, ::-1, ::-1] > 0)


def _dice(one: NDArray[np.bool_], two: NDArray[np.bool_]) -> float:
    return 2 * float((one & two).sum()) / float(one.sum() + two.sum())


def test_brain_of_the_t1_template_has_a_plausible_volume_and_agrees_with_another_method(
    scans: Path, skull_stripped: NDArray[np.bool_]
) -> None:
    _, findings = _analysed(scans / "head_mr_t1_1mm")
    values = {item.of: item.value for item in findings.measurements}
    assert 1300 < float(values["Brain"] or 0) < 1700
    assert float(values["Intracranial space"] or 0) > float(values["Brain"] or 0)
    assert _dice(findings.segment("Brain").mask, skull_stripped) > 0.93


@pytest.mark.parametrize("name", ["head_mr_pd_native", "brain_mr"])
def test_centroid_lies_inside_the_head(scans: Path, name: str) -> None:
    volume, findings = _analysed(scans / name)
    mask = findings.segment("Brain").mask
    assert 900 < mask.sum() * volume.voxel_ml < 1900
    voxels = np.asarray(volume.voxels, dtype=np.float32)
    head = ndimage.binary_fill_holes(voxels > np.percentile(voxels, 60))
    centre = tuple(round(float(at)) for at in ndimage.center_of_mass(mask))
    assert np.asarray(head)[centre]
