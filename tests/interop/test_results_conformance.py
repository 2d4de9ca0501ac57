import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medaet.dicom.codes import BRAIN, LEFT, LUNG, RIGHT
from medaet.dicom.volume import read_volume
from medaet.plugin.findings import Findings, Measurement
from medaet.plugin.segment import Segment
from medaet.results.objects import Source
from medaet.testing.phantom import write_series
from medaet.testing.run import encoded, source_of, two_boxes
from tests.peers import system_program
from tests.readers import errors_by_dciodvfy, on_grid, read_by_dcmqi

pytestmark = pytest.mark.interop

SCANS = ("chest_ct", "brain_mr", "head_ct", "head_mr_t1_1mm")
ILLEGAL_ROOT = "Illegal root for UID uses non-existent ITU-T arc"


def threshold(source: Source) -> Findings:
    """Find something of a natural shape: dark voxels in two halves on CT, bright ones on MR."""
    (volume,) = source.volumes.values()
    if volume.modality == "MR":
        bright = volume.voxels > np.percentile(volume.voxels, 85)
        return Findings(
            segments=[Segment("Brain", bright, BRAIN)],
            measurements=[Measurement.volume(of="Brain")],
            remarks=["Found by a threshold."],
        )
    left, right = (volume.voxels < -500 for _ in range(2))
    middle = volume.voxels.shape[2] // 2
    left[:, :, :middle] = False
    right[:, :, middle:] = False
    empty = np.zeros_like(left)
    return Findings(
        segments=[
            Segment("Left lung", left, LUNG, modifier=LEFT),
            Segment("Right lung", right, LUNG, modifier=RIGHT),
            Segment("Nothing", empty, LUNG),
        ],
        measurements=[
            Measurement.volume(of="Left lung"),
            Measurement.mean(of="Left lung"),
            Measurement.volume(of="Nothing"),
        ],
    )


def write(folder: Path, source: Source, find: Callable[[Source], Findings]) -> dict[str, Path]:
    written = {}
    for result in encoded(find(source), source, folder=folder):
        written[result.kind] = result.path
    return written


@pytest.fixture
def phantom(tmp_path: Path) -> Source:
    return source_of(
        write_series(tmp_path / "ct", shape=(8, 16, 16), spacing_mm=(2.5, 0.75, 0.5), seed=1)
    )


@pytest.fixture
def results(phantom: Source, tmp_path: Path) -> dict[str, Path]:
    return write(tmp_path, phantom, lambda source: two_boxes(source.volumes["ct"]))


@pytest.mark.parametrize("kind", ["SEG", "SR"])
def test_dciodvfy_finds_no_errors_in_results_on_a_phantom(
    results: dict[str, Path], kind: str
) -> None:
    assert errors_by_dciodvfy(results[kind]) == []


def test_dciodvfy_finds_no_errors_in_a_report_without_findings(
    phantom: Source, tmp_path: Path
) -> None:
    written = write(tmp_path, phantom, lambda _: Findings())
    assert errors_by_dciodvfy(written["SR"]) == []


@pytest.mark.parametrize("scan", SCANS)
def test_dciodvfy_finds_no_errors_in_results_on_real_scans(
    scans: Path, tmp_path: Path, scan: str
) -> None:
    source = source_of(sorted((scans / scan).glob("*.dcm")))
    written = write(tmp_path, source, threshold)
    assert {kind: errors_by_dciodvfy(path) for kind, path in written.items()} == {
        "SEG": [],
        "SR": [],
    }


def test_dciodvfy_objects_to_nothing_but_the_scanners_own_uids_on_a_native_series(
    scans: Path, tmp_path: Path
) -> None:
    paths = sorted((scans / "head_mr_pd_native").glob("*.dcm"))
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    own = {
        str(header.get(keyword))
        for header in headers
        for keyword in (
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "SOPInstanceUID",
            "FrameOfReferenceUID",
        )
    }
    written = write(tmp_path, source_of(paths), threshold)
    for path in written.values():
        found = errors_by_dciodvfy(path)
        assert all(ILLEGAL_ROOT in line for line in found)
        assert {line.split("<")[-1].rstrip(">") for line in found} <= own


def test_dsrdump_prints_a_readable_report(results: dict[str, Path]) -> None:
    command = [system_program("dsrdump"), str(results["SR"])]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    printed = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert "Comprehensive 3D SR Document" in printed
    assert 'NUM:(,,"Volume")="0.05625" (ml,UCUM,"milliliter")' in printed
    assert '"Tracking Identifier")="Left box"' in printed
    assert "Verification Flag   : UNVERIFIED" in printed
    assert not [line for line in printed.splitlines() if line.startswith("E:")]


def test_dcmqi_reads_the_same_voxels(
    results: dict[str, Path], phantom: Source, tmp_path: Path
) -> None:
    volume = phantom.volumes["ct"]
    found = read_by_dcmqi(results["SEG"], tmp_path / "dcmqi")
    for number, segment in enumerate(two_boxes(volume).segments, 1):
        mask = on_grid(found[number], volume.affine, volume.voxels.shape)
        assert np.array_equal(mask, segment.mask)


def test_pydicom_reads_a_study_that_all_results_share(scans: Path, tmp_path: Path) -> None:
    paths = sorted((scans / "brain_mr").glob("*.dcm"))
    source = Source({"mr": paths}, {"mr": read_volume(paths)})
    study = pydicom.dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID
    for result in encoded(threshold(source), source, folder=tmp_path):
        assert pydicom.dcmread(result.path).StudyInstanceUID == study
