"""Registrations as files: what was written comes back, and files that lie are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medaet import Findings
from medaet.errors import FindingsError
from medaet.plugin import folder as kept
from medaet.plugin.registration import Deformation, Figures, Registration, Resampled

FIGURES = Figures(0.9, 1.1, 2.3, 0.2, 0.3, 1.0, 12.0)


def _findings() -> Findings:
    rng = np.random.default_rng(1)
    deformation = Deformation(
        rng.normal(size=(2, 3, 4, 3)).astype(np.float32), np.diag([4.0, 4, 4, 1])
    )
    matrix = np.eye(4)
    matrix[:3, 3] = (1.0, 2.0, 3.0)
    return Findings(
        registrations=(
            Registration("mr", "ct", "deformable", matrix, deformation, FIGURES, seconds=1.5),
            Registration("pet", "ct", "same frame", np.eye(4)),
        ),
        resampled=(
            Resampled("mr", "ct", rng.integers(0, 9, (2, 3, 4)).astype(np.int16), True, False),
        ),
    )


def test_load_returns_the_registrations_that_save_wrote(tmp_path: Path) -> None:
    wanted = _findings()
    kept.save(wanted, tmp_path)
    found = kept.load(tmp_path)
    first, second = found.registrations
    assert np.array_equal(first.matrix, wanted.registrations[0].matrix)
    assert first.deformation is not None
    assert wanted.registrations[0].deformation is not None
    assert np.array_equal(first.deformation.vectors, wanted.registrations[0].deformation.vectors)
    assert first.figures == FIGURES
    assert (second.model, second.deformation, second.figures) == ("same frame", None, None)
    assert np.array_equal(found.resampled[0].voxels, wanted.resampled[0].voxels)
    assert (found.resampled[0].series, found.resampled[0].blended) == (True, False)


def _mirror(content: Any) -> None:
    content["registrations"][0]["matrix"][0][0] = -1.0


def _project(content: Any) -> None:
    content["registrations"][0]["matrix"][3] = [0, 0, 0.1, 1]


def _infinite(content: Any) -> None:
    content["registrations"][0]["matrix"][0][3] = 1e999


def _many(content: Any) -> None:
    content["registrations"] *= 40


def _grown(content: Any) -> None:
    content["resampled"][0]["voxels"] = [200, 300, 400]


def _huge(content: Any) -> None:
    content["resampled"][0]["voxels"] = [100_000, 100_000, 100_000]


@pytest.mark.parametrize("lie", [_mirror, _project, _infinite, _many, _grown, _huge])
def test_load_refuses_registrations_that_cannot_be(
    tmp_path: Path, lie: Callable[[Any], None]
) -> None:
    kept.save(_findings(), tmp_path)
    path = tmp_path / "findings.json"
    content = json.loads(path.read_text())
    lie(content)
    path.write_text(json.dumps(content))
    with pytest.raises(FindingsError):
        kept.load(tmp_path)


def test_load_refuses_a_link_in_place_of_voxels(tmp_path: Path) -> None:
    kept.save(_findings(), tmp_path)
    voxels = tmp_path / "resampled-1.npy"
    voxels.rename(tmp_path / "elsewhere.npy")
    voxels.symlink_to(tmp_path / "elsewhere.npy")
    with pytest.raises(FindingsError):
        kept.load(tmp_path)


def test_load_refuses_a_deformation_that_is_not_finite(tmp_path: Path) -> None:
    kept.save(_findings(), tmp_path)
    np.save(tmp_path / "deformation-1.npy", np.full((2, 3, 4, 3), np.nan, np.float32))
    with pytest.raises(FindingsError, match="finite"):
        kept.load(tmp_path)
