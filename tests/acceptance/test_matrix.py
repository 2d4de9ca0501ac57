"""Every geometry and encoding, from files to segmentations: each voxel where the solid is, by two readers."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medaet.compute.runtime import Runtime
from medaet.results.recipe import Recipe
from medaet.testing.run import encoded, source_of
from medaet.testing.shapes import SOLIDS, FindsShapes
from tests.acceptance.matrix import NATIVE, Case, cases, write
from tests.readers import on_grid, read_by_dcmqi, read_by_decoder, read_planes_by_dcmqi

pytestmark = pytest.mark.interop


def segmentation_of(case: Case, folder: Path) -> Path:
    write(case, folder / "series")
    source = source_of(sorted((folder / "series").iterdir()))
    findings = FindsShapes().analyse(source.volumes, Runtime("cpu"))
    (segmentation,) = encoded(findings, source, folder=folder, recipe=Recipe(report=None))
    return segmentation.path


def assert_every_voxel_is_true(case: Case, path: Path, folder: Path | None) -> None:
    """Compare what the decoder, and dcmqi where it gets a folder, read with the solids."""
    truth = case.truth
    present = [number for number in SOLIDS if (truth == number).any()]
    readings = [read_by_decoder(path)]
    if folder:
        readings.append((read_planes_by_dcmqi if case.step else read_by_dcmqi)(path, folder))
    for read in readings:
        assert sorted(read) == list(range(1, len(present) + 1))
        for segment, number in enumerate(present, 1):
            found = on_grid(read[segment], case.affine, case.shape)
            assert np.array_equal(found, truth == number)


def test_matrix_shows_the_phantom_in_72_ways() -> None:
    every = cases()
    assert len({(one.orientation, one.syntax) for one in every}) == len(every) == 72
    assert {one.frames for one in every} == {one.rescaled for one in every} == {True, False}


@pytest.mark.parametrize("case", cases(), ids=lambda case: str(case.name))
def test_segmentation_of_any_series_is_the_phantom_voxel_for_voxel(
    tmp_path: Path, case: Case
) -> None:
    assert_every_voxel_is_true(case, segmentation_of(case, tmp_path), tmp_path / "dcmqi")


directions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda one: np.linalg.norm(one) > 0.1)


@settings(max_examples=20, deadline=None)
@given(
    turn=directions,
    lean=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
    number=st.sampled_from([one.number for one in cases() if one.syntax in NATIVE]),
)
def test_segmentation_of_any_direction_is_the_phantom_voxel_for_voxel(
    turn: tuple[float, ...], lean: tuple[float, float], number: int
) -> None:
    along_columns, along_rows, normal = rotation(turn).T
    step = normal + lean[0] * along_columns + lean[1] * along_rows
    case = replace(
        cases()[number],
        cosines=(*along_columns, *along_rows),
        step=tuple(step / np.linalg.norm(step)),
    )
    with tempfile.TemporaryDirectory() as folder:
        assert_every_voxel_is_true(case, segmentation_of(case, Path(folder)), None)


def rotation(quaternion: tuple[float, ...]) -> NDArray[np.float64]:
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
