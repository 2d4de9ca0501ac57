"""The pieces of `medaet bench`: what is compared is compared rightly."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from medaet import Volume
from medaet.bench import classical
from medaet.bench.cases import CASES, Case
from medaet.bench.infer import lowest_dice
from medaet.bench.infer_once import cut
from medaet.bench.monai_runtime import MonaiRuntime
from medaet.bench.networks import TISSUES_HU, Tissues, intensity
from medaet.bench.rounds import interleaved
from medaet.cli import application
from medaet.compute.runtime import Runtime
from medaet.plugin.recipe import Alignment
from medaet.precision import Terms


def _chest() -> Volume:
    """A body with two lungs in air, a vessel in one of them."""
    voxels = np.full((10, 60, 80), -1000, np.int16)
    voxels[:, 5:55, 5:75] = 40
    voxels[:, 15:45, 12:35] = voxels[:, 15:45, 45:68] = -850
    voxels[:, 29:31, 20:22] = 30
    return Volume(voxels, np.diag([3.0, 3.0, 5.0, 1.0]), "CT")


def test_lowest_dice_is_that_of_the_class_that_agrees_least() -> None:
    one = np.array([0, 1, 1, 2, 2, 2, 2], np.uint8)
    two = np.array([0, 1, 1, 2, 2, 2, 1], np.uint8)
    assert lowest_dice(one, two) == pytest.approx(4 / 5)  # class 1: 2 x 2 / (2 + 3); class 2: 6 / 7
    assert lowest_dice(one * 0, two * 0) == 1


def test_every_way_runs_once_in_each_round() -> None:
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) for name in "abc"}
    found = interleaved(ways, 3, lambda _text: None)
    assert {name: len(each) for name, each in found.items()} == {"a": 3, "b": 3, "c": 3}
    assert all(set(calls[at : at + 3]) == set("abc") for at in (0, 3, 6))


def test_classical_method_finds_the_lungs_with_their_vessels() -> None:
    labels = classical.lungs(_chest())
    assert labels[:, 15:45, 12:35].all()
    assert labels[:, 15:45, 45:68].all()
    assert int(labels.sum()) == 2 * 10 * 30 * 23


def test_cut_keeps_the_extent_along_the_slices() -> None:
    cropped = cut(_chest(), Case("", slices=25, side=40))
    assert cropped.voxels.shape == (25, 40, 40)
    assert cropped.spacing_mm == pytest.approx((2, 3, 3))


def test_tissue_network_labels_tissues() -> None:
    network = Tissues(classes=7, channels=(4, 8)).eval()
    volume = _chest()
    labels = Runtime("cpu", terms=Terms(engine="eager")).segment(
        network, volume, spacing_mm=(5.0, 3.0, 3.0), window=(8, 32, 32), intensity=intensity
    )
    assert labels[5, 2, 2] == TISSUES_HU.index(-1000)
    assert labels[5, 20, 25] == TISSUES_HU.index(-800)
    assert labels[5, 10, 40] == TISSUES_HU.index(40)
    assert labels.max() < len(TISSUES_HU)


@pytest.mark.parametrize("alignment", ["edges", "centres"])
def test_labels_are_those_of_monais_tools(alignment: Alignment) -> None:
    network = Tissues(channels=(4, 8)).eval()
    ours, theirs = (
        runtime.segment(
            network,
            _chest(),
            spacing_mm=(4.0, 4.5, 4.0),
            window=(8, 16, 16),
            alignment=alignment,
            intensity=intensity,
        )
        for runtime in (Runtime("cpu", terms=Terms(engine="eager")), MonaiRuntime("cpu"))
    )
    assert lowest_dice(theirs, ours) > 0.9999
    assert np.unique(ours).size > 2


def test_command_prints_json_with_ratios_and_versions() -> None:
    done = CliRunner().invoke(
        application(["bench"]), ["bench", "read", "--quick", "--rounds", "1", "--json"]
    )
    assert done.exit_code == 0, done.output
    (report,) = json.loads(done.stdout)
    assert report["benchmark"] == "read"
    assert {row["way"] for row in report["rows"]} >= {"medaet", "pydicom", "SimpleITK", "MONAI"}
    (ratios,) = report["ratios"].values()
    assert ratios["speed_vs_pydicom"] > 0
    assert "numpy" in report["versions"]


def test_every_case_is_compared_with_monai_first() -> None:
    assert all(case.ways[0] == "monai" for case in CASES.values())
