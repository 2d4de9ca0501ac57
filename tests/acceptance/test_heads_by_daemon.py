"""Networks whose output is no mask, imported while the daemon runs: a route, a reload, and reports come back.

No restart: the model is there within a second, and SIGHUP (`systemctl reload`) reads the routes again.
"""

import signal
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from medaet.cli import application
from medaet.demo.run import await_daemon
from medaet.demo.site import Site, site
from medaet.dicom.volume import Volume, read_volume
from medaet.testing.phantom import write_series
from medaet.worker.importing import smoke_volume
from medaet_plugins.network_file import Onnx, TorchScript
from tests.acceptance.hospital import objects_by_study, wait_until
from tests.peers import system_program
from tests.readers import errors_by_dciodvfy
from tests.unit.test_network_heads import BOXES, CLASSES, NUMBERS, Bones, Brightness, write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.interop,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # torch deprecates its own tracers
]

OBLIQUE = (0.96, 0.0, -0.28, 0.0784, 0.96, 0.2688)
NAMES = ("lesion-boxes", "lung-class", "bone-age")


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """An oblique series: what is put at the wrong place shows."""
    return write_series(
        tmp_path_factory.mktemp("scanner"),
        voxels=np.asarray(smoke_volume("CT").voxels, np.int16),
        spacing_mm=(3.0, 1.5, 2.0),
        orientation=OBLIQUE,
        origin=(-31.0, 17.0, 5.0),
    )


@pytest.fixture(scope="module")
def reports(
    slices: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Path]]:
    """What came back, by the analysis's name."""
    folder = tmp_path_factory.mktemp("site")
    with site(folder, []) as one:
        one.start_pacs()
        one.start_daemon()
        assert await_daemon(one)
        _import_all(one, folder)
        _route_all(one)
        assert one.scan(slices[0].parent).wait(60) == 0
        wait_until(lambda: objects_by_study(one.archive).total() == 3, 120, "three reports arrive")
        yield {_analysis(path): path for path in one.archive.glob("*.dcm")}


def _import_all(one: Site, folder: Path) -> None:
    sources = (
        (TorchScript, Bones(), BOXES),
        (TorchScript, Brightness(3), CLASSES),
        (Onnx, Brightness(2), NUMBERS),
    )
    for name, (kind, network, text) in zip(NAMES, sources, strict=True):
        here = folder / name
        here.mkdir()
        path = write(kind, network, text, here)
        words = ["models", "import", path, "--name", name, "--config", one.config_file]
        typed = [str(word) for word in words]
        done = CliRunner().invoke(application(typed), typed)
        assert done.exit_code == 0, done.output


def _route_all(one: Site) -> None:
    """Name the analyses in the route of the running daemon, once with a mistake."""
    assert one.daemon is not None
    written = one.config_file.read_text()
    one.config_file.write_text(written.replace("analyses = []", 'analyses = ["no-such-thing"]'))
    one.daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "configuration.refused" in one.log.read_text(), 30, "a mistake is refused")
    named = ", ".join(f'"{name}"' for name in NAMES)
    one.config_file.write_text(written.replace("analyses = []", f"analyses = [{named}]"))
    one.daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "pipeline.reloaded" in one.log.read_text(), 30, "the routes are read again")


def _analysis(report: Path) -> str:
    """Say which analysis a report names as its algorithm."""
    said = str(pydicom.dcmread(report))
    (name,) = (one for one in NAMES if f"'{one}'" in said)
    return name


def _printed(report: Path) -> str:
    done = subprocess.run(
        [system_program("dsrdump"), str(report)], capture_output=True, timeout=60, check=False
    )
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def test_no_report_has_an_error(reports: dict[str, Path]) -> None:
    assert set(reports) == set(NAMES)
    for path in reports.values():
        assert errors_by_dciodvfy(path) == []


def test_a_box_lies_in_the_patient_where_the_network_found_it(
    reports: dict[str, Path], slices: list[Path]
) -> None:
    command = [system_program("dsr2xml"), str(reports["lesion-boxes"])]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    faces = [
        [float(part) for part in one.text.replace("/", ",").split(",")]
        for one in ET.fromstring(done.stdout).iter()
        if one.tag.rpartition("}")[2] == "data" and one.text and one.text.count("/") >= 4
    ]
    found = np.unique(np.round(np.array(faces).reshape(-1, 3), 4), axis=0)
    wanted = _corners(read_volume(slices))
    assert len(faces) == 6
    assert len(found) == 8
    assert np.linalg.norm(found[:, None] - wanted[None], axis=2).min(axis=1).max() < 1e-3


def _corners(volume: Volume) -> NDArray[np.float64]:
    """Return the corners of the box around all above 80 HU, (8, 3), in patient coordinates."""
    where = np.argwhere(volume.voxels > 80)
    ends = np.stack([where.min(0) - 0.5, where.max(0) + 0.5])
    places = np.array(list(product(*ends.T)))[:, ::-1]  # column, row, slice
    return np.asarray(places @ volume.affine[:3, :3].T + volume.affine[:3, 3])


def test_classes_of_a_scan_are_detected_or_not(reports: dict[str, Path]) -> None:
    printed = _printed(reports["lung-class"])
    assert 'CODE:(,,"bright")=(260415000,SCT,"Not detected")' in printed
    assert 'CODE:(,,"dark")=(260373001,SCT,"Detected")' in printed


def test_numbers_have_their_units(reports: dict[str, Path], slices: list[Path]) -> None:
    printed = _printed(reports["bone-age"])
    assert 'NUM:(,,"bone age")="120.0" (mo,UCUM,"month")' in printed
    (line,) = (one for one in printed.splitlines() if 'NUM:(,,"Attenuation Coefficient")' in one)
    mean = float(read_volume(slices).voxels.mean())
    assert float(line.split('="')[1].split('"')[0]) == pytest.approx(mean, abs=0.01)
