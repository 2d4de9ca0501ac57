"""Results of profile `ohif` in the OHIF viewer: each structure painted where it is, and nothing beside it."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

from medaet import Analysis, Findings, Segment, Volume
from medaet.compute.runtime import Runtime
from medaet.config.model import Peer
from medaet.demo.scans import write_scan
from medaet.network import scu
from medaet.results.colours import colours
from medaet.results.point import point_of
from medaet.results.profile import PROFILES, pairs, plan
from medaet.testing.run import algorithm, encoded, source_of
from medaet.testing.shapes import FindsShapes
from medaet_plugins.brain_mr import BrainMR
from medaet_plugins.chest_ct import ChestCT
from tests.acceptance.matrix import cases, places, write
from tests.interop.viewer import (
    POINTS,
    SEGMENTS,
    SERIES,
    SHOW_SLICE,
    application,
    archive_with_dicomweb,
    screenshot,
)
from tests.peers import missing, system_program

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(290)]

WAIT_MS = 120_000
OBLIQUE = 54
COLOURLESS = 12
"""How far apart red, green and blue of a grey pixel may lie."""

SOFTWARE_WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A study in the archive, and what was found in it."""

    study_instance_uid: str
    volume: Volume
    findings: Findings


def shown_by(analysis: Analysis, role: str) -> Callable[[Volume], Findings]:
    """Return what runs an analysis with its own networks, as the worker does."""

    def find(volume: Volume) -> Findings:
        runtime = Runtime("cpu")
        analysis.load(runtime)
        return analysis.analyse({role: volume}, runtime)

    return find


def shapes(volume: Volume) -> Findings:
    return FindsShapes().analyse({"mr": volume}, Runtime("cpu"))


def oblique(folder: Path) -> list[Path]:
    write(cases()[OBLIQUE], folder)
    return sorted(folder.iterdir())


SCANS: dict[str, tuple[Callable[[Path], list[Path]], Callable[[Volume], Findings]]] = {
    "chest": (lambda folder: list(write_scan("chest-ct", folder)), shown_by(ChestCT(), "ct")),
    "head": (lambda folder: list(write_scan("brain-mr", folder)), shown_by(BrainMR(), "mr")),
    "oblique phantom": (oblique, shapes),
}


def archived(name: str, folder: Path, peer: Peer) -> Shown:
    """Send a scan and its results to the archive, in what it takes of the profile."""
    make, find = SCANS[name]
    source = source_of(make(folder / "scan"), role="image")
    (volume,) = source.volumes.values()
    findings = find(volume).resolved(source.volumes)
    profile = PROFILES[peer.profile]
    planned = plan(profile, scu.accepted(peer, "MEDAET", pairs(profile)))
    run = algorithm(instance_key=name)
    results = encoded(findings, source, run, recipe=planned.recipe, folder=folder)
    paths = [*source.paths["image"], *(one.path for one in results)]
    assert [one.error for one in scu.send(peer, "MEDAET", paths)] == [None] * len(paths)
    return Shown(str(source.series()["image"].first.StudyInstanceUID), volume, findings)


@pytest.fixture(scope="module")
def built() -> Path:
    """OHIF's application, as its package brings it; `make ohif` fetches it."""
    folder = Path(os.environ.get("MEDAET_OHIF", Path(sys.prefix) / "ohif")) / "package" / "dist"
    return folder if folder.is_dir() else missing("OHIF is not here; `make ohif` fetches it")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Peer, str]]:
    with archive_with_dicomweb(tmp_path_factory.mktemp("orthanc") / "site") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=system_program("chromium"), args=SOFTWARE_WEBGL
        )
        yield started
        started.close()


@pytest.mark.parametrize("name", SCANS)
def test_viewer_paints_each_structure_where_it_is(
    name: str, built: Path, archive: tuple[Peer, str], browser: Browser, tmp_path: Path
) -> None:
    peer, address = archive
    shown = archived(name, tmp_path, peer)
    with application(built, address) as viewer:
        page = browser.new_page(viewport={"width": 1000, "height": 700})
        page.goto(f"{viewer}/viewer?StudyInstanceUIDs={shown.study_instance_uid}")
        open_series(page, "SEG")
        labels = [one.label for one in shown.findings.segments]
        page.wait_for_function(f"({SEGMENTS})().length >= {len(labels)}", timeout=WAIT_MS)
        assert [label for label in page.evaluate(SEGMENTS) if label != "Background"] == labels
        for segment in shown.findings.segments:
            assert_painted(page, shown, segment, tmp_path)
        open_series(page, "SR")
        page.wait_for_function(f"({POINTS})() === {len(labels)}", timeout=WAIT_MS)
        screenshot(page, tmp_path / "report.png")
        page.close()


def open_series(page: Page, modality: str) -> None:
    """Open a series from the list, as a person does."""
    page.wait_for_function(f"({SERIES})().includes('{modality}')", timeout=WAIT_MS)
    page.wait_for_function("window.cornerstone?.getRenderingEngines().length", timeout=WAIT_MS)
    page.get_by_text(modality, exact=True).first.dblclick(timeout=WAIT_MS)


def assert_painted(page: Page, shown: Shown, segment: Segment, folder: Path) -> None:
    """Look at a pixel deep in the structure and one far from every structure, on the slice where it is largest."""
    point = point_of(segment, shown.volume)
    assert point is not None
    planes = shown.volume.planes
    place = shown.volume.slices[planes.index(point.plane)]
    everything = np.any([one.mask[place] for one in shown.findings.segments], axis=0)
    inside = deepest(segment.mask[place])
    outside = deepest(~everything)
    page.mouse.move(500, 5)
    spots = []
    for row, column in (inside, outside):
        world = places(shown.volume.affine, (1, 1, 1))[0, 0, 0] + shown.volume.affine[:3, :3] @ (
            column,
            row,
            place,
        )
        spots.append(
            page.evaluate(SHOW_SLICE, [point.plane.sop_instance_uid, [float(x) for x in world]])
        )
    page.wait_for_timeout(1500)
    picture = screenshot(page, folder / f"{segment.label}.png")
    painted, plain = (picture[round(y), round(x)] for x, y in spots)
    wanted = np.array(colours(shown.findings.segments)[segment.label])
    assert np.ptp(plain) <= COLOURLESS, f"{plain} outside {segment.label}"
    assert np.ptp(painted) > COLOURLESS, f"{painted} inside {segment.label}"
    tint, hue = painted - painted.mean(), wanted - wanted.mean()
    assert tint @ hue / np.linalg.norm(tint) / np.linalg.norm(hue) > 0.8, (painted, wanted)


def deepest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the pixel (row, column) of a mask that is farthest from its edge."""
    left, depth = np.pad(mask, 1), np.zeros(mask.shape, int)
    while left.any():
        depth += left[1:-1, 1:-1]
        left[1:-1, 1:-1] &= left[:-2, 1:-1] & left[2:, 1:-1] & left[1:-1, :-2] & left[1:-1, 2:]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return int(row), int(column)
