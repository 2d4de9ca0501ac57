"""chest-ct on two real chests: the one it was trained on, and one that it was not."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medaet import Findings, Volume
from medaet.compute.runtime import Runtime
from medaet.demo.scans import write_scan
from medaet.dicom.volume import read_volume
from medaet.plugin.registry import discover
from medaet_plugins.chest_ct.labels import classical_airway, classical_lungs

pytestmark = pytest.mark.slow

LUNG2 = Path(__file__).parents[1] / "data" / "lung2.npz"


def _analysed(volume: Volume) -> Findings:
    runtime = Runtime("cpu")
    analysis = discover().with_settings("chest-ct", {})
    analysis.load(runtime)
    return analysis.analyse({"ct": volume}, runtime).resolved({"ct": volume})


def _dice(one: NDArray[np.bool_], two: NDArray[np.bool_]) -> float:
    return 2 * float((one & two).sum()) / float(one.sum() + two.sum())


def _lungs(findings: Findings) -> NDArray[np.bool_]:
    return findings.segment("Left lung").mask | findings.segment("Right lung").mask


@dataclass(frozen=True)
class Unseen:
    """Another patient's chest CT (lung2 of pyradiomics 3.0.1, half its resolution within slices), and its findings."""

    volume: Volume
    findings: Findings


@pytest.fixture(scope="module")
def unseen() -> Unseen:
    stored = np.load(LUNG2)
    volume = Volume(stored["voxels"], stored["affine"], "CT")
    return Unseen(volume, _analysed(volume))


def test_lungs_of_an_unseen_patient_agree_with_the_classical_reference(unseen: Unseen) -> None:
    assert _dice(_lungs(unseen.findings), classical_lungs(unseen.volume)) > 0.95


def test_trachea_of_an_unseen_patient_agrees_with_the_classical_reference(unseen: Unseen) -> None:
    found = unseen.findings.segment("Trachea").mask
    assert _dice(found, classical_airway(unseen.volume)) > 0.85


def test_left_and_right_lung_of_an_unseen_patient_lie_on_their_sides(unseen: Unseen) -> None:
    middle = unseen.findings.segment("Left lung").mask.shape[2] / 2
    columns = {one.label: np.nonzero(one.mask)[2].mean() for one in unseen.findings.segments}
    assert columns["Right lung"] < middle < columns["Left lung"]


def test_measurements_of_the_bundled_scan_are_plausible(tmp_path: Path) -> None:
    volume = read_volume(write_scan("chest-ct", tmp_path))
    findings = _analysed(volume)
    assert _dice(_lungs(findings), classical_lungs(volume)) > 0.95
    values = {(item.of, item.name.value): item.value or 0.0 for item in findings.measurements}
    for lung in ("Left lung", "Right lung"):
        assert 800 < values[lung, "118565006"] < 3500
        assert -950 < values[lung, "112031"] < -600
        assert 0 <= values[lung, "LAA-950"] < 60
