"""The geometry matrix through the daemon: series in by C-STORE, true segmentations and valid reports out.

Twelve series that show every orientation and every transfer syntax; GEOMETRY_MATRIX=all sends all of them.
"""

import os
import sysconfig
import venv
from pathlib import Path

import pydicom
import pytest

from medaet.demo.run import await_daemon
from medaet.demo.site import Site, site
from medaet.testing.shapes import FindsShapesOnCt, FindsShapesOnMr
from tests.acceptance.hospital import wait_until
from tests.acceptance.matrix import ORIENTATIONS, SYNTAXES, Case, cases, write
from tests.acceptance.test_matrix import assert_every_voxel_is_true
from tests.readers import complaints_of_dcentvfy, errors_by_dciodvfy

pytestmark = [pytest.mark.slow, pytest.mark.interop, pytest.mark.timeout(1500)]

SEND_SECONDS = 120
FINISH_SECONDS = 150
SECONDS_PER_CASE = 10
DIAGONAL = 12


def chosen() -> list[Case]:
    every = cases()
    if os.environ.get("GEOMETRY_MATRIX") == "all":
        return every
    return [
        every[one % len(ORIENTATIONS) * len(SYNTAXES) + one % len(SYNTAXES)]
        for one in range(DIAGONAL)
    ]


def environment_with_shapes(folder: Path) -> str:
    """Make an environment in which the phantom's analyses are installed beside all that the tests have."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    ours = sysconfig.get_path("purelib")
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    metadata = packages / "shapes-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shapes\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[medaet.plugins]\nshapes = medaet.testing.shapes\n")
    return str(folder / "bin" / "python")


def returned(one: Site) -> dict[tuple[str, str], Path]:
    found = {}
    for path in one.archive.glob("*.dcm"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        found[str(dataset.StudyInstanceUID), str(dataset.Modality)] = path
    return found


def study_of(folder: Path) -> str:
    first = next(iter(sorted(folder.iterdir())))
    return str(pydicom.dcmread(first, stop_before_pixels=True).StudyInstanceUID)


def test_every_series_that_is_sent_comes_back_as_a_true_segmentation(tmp_path: Path) -> None:
    python = environment_with_shapes(tmp_path / "environment")
    names = (FindsShapesOnCt.name, FindsShapesOnMr.name)
    with site(tmp_path / "site", names, python=python) as one:
        one.start_pacs()
        one.start_daemon()
        folders = {case: tmp_path / "scanner" / f"{case.number:02}" for case in chosen()}
        for case, folder in folders.items():
            write(case, folder)
        assert await_daemon(one)
        assert one.scan(tmp_path / "scanner").wait(SEND_SECONDS) == 0
        expected = 2 * len(folders)
        wait_until(
            lambda: len(list(one.archive.glob("*.dcm"))) == expected,
            FINISH_SECONDS + SECONDS_PER_CASE * len(folders),
            f"{expected} results are in the archive",
        )
        found = returned(one)
    for case, folder in folders.items():
        study = study_of(folder)
        segmentation, report = found[study, "SEG"], found[study, "SR"]
        assert_every_voxel_is_true(case, segmentation, tmp_path / "dcmqi" / folder.name)
        assert errors_by_dciodvfy(segmentation) == errors_by_dciodvfy(report) == []
        if case.syntax != "deflated" and case.storage.bits_allocated < 32:  # dcentvfy reads neither
            assert complaints_of_dcentvfy([*folder.iterdir(), segmentation, report]) == []
