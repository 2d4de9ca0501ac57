"""head-any on heads that it did not learn from: a CT, though it never saw one, and an MR of another contrast."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medaet import Volume
from medaet.compute.runtime import Runtime
from medaet.dicom.volume import read_volume
from medaet.plugin.registry import discover

pytestmark = pytest.mark.slow

AIR_HU, BONE_HU = -300, 300


def _found(folder: Path, analysis: str, role: str, label: str) -> tuple[Volume, NDArray[np.bool_]]:
    volume, runtime = read_volume(sorted(folder.glob("*.dcm"))), Runtime("cpu")
    one = discover(["medaet_plugins.head_any"]).with_settings(analysis, {})
    one.load(runtime)
    findings = one.analyse({role: volume}, runtime).resolved({role: volume})
    return volume, findings.segment(label).mask


def test_on_ct_it_is_what_the_skull_encloses(scans: Path) -> None:
    volume, mask = _found(scans / "head_ct", "head-any", "head", "Intracranial space")
    assert 1250 < mask.sum() * volume.voxel_ml < 1600
    values = ndimage.gaussian_filter(np.asarray(volume.voxels, np.float32), 1)
    assert (values[mask] < AIR_HU).mean() < 0.01
    assert (values[mask] > BONE_HU).mean() < 0.1
    shell = ndimage.binary_dilation(mask, iterations=7) & ~mask
    upper = slice(mask.shape[0] // 2, None)  # above the skull base
    assert (values[upper][shell[upper]] > BONE_HU).mean() > 0.3


def test_on_mr_it_agrees_with_the_borrowed_network(scans: Path) -> None:
    _, ours = _found(scans / "head_mr_pd_native", "head-any", "head", "Intracranial space")
    _, theirs = _found(scans / "head_mr_pd_native", "brain-mr", "mr", "Intracranial space")
    assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.92
