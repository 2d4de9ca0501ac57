"""The storage SCP against dcmtk's programs as they are shipped."""

from pathlib import Path

import pytest
from pydicom.misc import is_dicom

from medaet.errors import OutOfSpaceError
from medaet.testing.phantom import write_series
from tests.stages.receiving import Disk, Listening, data_set, dcmtk, sample

pytestmark = pytest.mark.interop


def test_echoscu_succeeds(serve: Listening) -> None:
    with serve(Disk()) as peer:
        assert dcmtk("echoscu", peer).returncode == 0


@pytest.mark.parametrize("program", ["storescu", "dcmsend"])
def test_bit_identical_instances_are_stored(serve: Listening, tmp_path: Path, program: str) -> None:
    disk = Disk()
    paths = [*write_series(tmp_path / "ct"), *write_series(tmp_path / "mr", modality="MR", seed=1)]
    with serve(disk) as peer:
        done = dcmtk(program, peer, *paths)
    assert done.returncode == 0, done.stderr
    stored = sorted(data_set(content) for content in disk.files)
    assert stored == sorted(data_set(path.read_bytes()) for path in paths)


@pytest.mark.parametrize(
    "option", ["-R", "+C", "-xi", "-xb", "--max-pdu=4096", "--max-send-pdu=131072"]
)
def test_storescu_stores_in_every_dialect(serve_own: Listening, option: str) -> None:
    disk = Disk()
    with serve_own(disk) as peer:
        done = dcmtk("storescu", peer, *option.split("="), sample())
    assert done.returncode == 0, done.stderr
    assert len(disk.files) == 1


@pytest.mark.parametrize(
    "series",
    ["chest_ct", "brain_mr", "head_ct", "head_mr_t1_1mm", "head_mr_pd_native"],
)
def test_storescu_stores_every_real_series(serve_own: Listening, series: str, scans: Path) -> None:
    disk = Disk()
    paths = [path for path in (scans / series).rglob("*") if is_dicom(path)]
    with serve_own(disk) as peer:
        done = dcmtk("storescu", peer, *paths)
    assert done.returncode == 0, done.stderr
    assert len(disk.files) == len(paths) > 0


def test_storescu_is_told_that_the_disk_is_full(serve: Listening) -> None:
    with serve(Disk(OutOfSpaceError("no room"))) as peer:
        done = dcmtk("storescu", peer, "-v", sample())
    assert done.returncode != 0
    assert "Refused: OutOfResources" in done.stdout + done.stderr


def test_echoscu_is_told_why_it_is_rejected(serve: Listening) -> None:
    with serve(Disk()) as peer:
        done = dcmtk("echoscu", peer.model_copy(update={"ae_title": "OTHER"}))
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stdout + done.stderr
