"""chest-ct on two real chests: the one it was trained on, and one that it was not."""

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


def _unseen() -> Volume:
    """Another patient's chest CT: lung2 of pyradiomics 3.0.1, at half its resolution within slices."""
    stored = np.load(LUNG2)
    return Volume(stored["voxels"], stored["affine"], "CT")


def test_lungs_of_an_unseen_patient_agree_with_the_classical_reference() -> None:
    volume = _unseen()
    assert _dice(_lungs(_analysed(volume)), classical_lungs(volume)) > 0.93


def test_trachea_of_an_unseen_patient_agrees_with_the_classical_reference() -> None:
    volume = _unseen()
    found = _analysed(volume).segment("Trachea").mask
    assert _dice(found, classical_airway(volume)) > 0.85


def test_left_and_right_lung_of_an_unseen_patient_lie_on_their_sides() -> None:
    findings = _analysed(_unseen())
    middle = findings.segment("Left lung").mask.shape[2] / 2
    columns = {one.label: np.nonzero(one.mask)[2].mean() for one in findings.segments}
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
