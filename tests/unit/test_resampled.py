"""Irregular stacks that an analysis asked to have mended."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medaet.dicom.codes import SLICES_DOUBLED, SLICES_MISSING, SLICES_TILTED, SLICES_UNEVEN
from medaet.dicom.stack import Choice
from medaet.dicom.volume import Volume, read_volume
from medaet.errors import GeometryError
from medaet.testing.phantom import Storage, write_series

RESAMPLE = Choice(irregular="resample")


def _slopes(folder: Path, heights: list[float], storage: Storage | None = None) -> list[Path]:
    """Write slices at these heights in mm whose voxels hold ten times their height."""

    def change(dataset: Dataset, number: int) -> None:
        dataset.ImagePositionPatient = ["0", "0", f"{heights[number]:g}"]

    voxels = np.rint(10 * np.array(heights)).astype(int).repeat(16).reshape(-1, 4, 4)
    return write_series(folder, voxels=voxels, storage=storage or Storage(), change=change)


def _column(volume: Volume) -> list[float]:
    return [float(value) for value in volume.voxels[:, 0, 0]]


def test_read_volume_interpolates_a_missing_slice(tmp_path: Path) -> None:
    volume = read_volume(_slopes(tmp_path, [0, 2, 6, 8]), RESAMPLE)
    assert _column(volume) == [0, 20, 40, 60, 80]
    assert volume.slices == (0, 1, 3, 4)
    assert volume.spacing_mm[0] == pytest.approx(2)
    (problem,) = volume.problems
    assert problem.code == SLICES_MISSING
    assert problem.text.startswith("1 of 5 slices are missing")


def test_read_volume_interpolates_two_neighbouring_slices(tmp_path: Path) -> None:
    assert _column(read_volume(_slopes(tmp_path, [0, 2, 8, 10]), RESAMPLE)) == [
        *(0, 20, 40, 60, 80, 100)
    ]


def test_read_volume_keeps_the_values_of_slices_that_are_there(tmp_path: Path) -> None:
    paths = _slopes(tmp_path, [0, 2.03, 5.97, 8])  # real series wobble
    volume = read_volume(paths, RESAMPLE)
    assert [volume.voxels[place, 0, 0] for place in volume.slices] == [0, 20, 60, 80]


def test_read_volume_resamples_uneven_slices_to_the_narrowest_distance(tmp_path: Path) -> None:
    volume = read_volume(_slopes(tmp_path, [0, 2, 4, 7, 10]), RESAMPLE)
    assert _column(volume) == pytest.approx([0, 20, 40, 60, 80, 100])
    assert volume.slices == (0, 1, 2, 4, 5)
    assert volume.spacing_mm[0] == pytest.approx(2)
    assert [problem.code for problem in volume.problems] == [SLICES_UNEVEN]


def test_read_volume_interpolates_real_values(tmp_path: Path) -> None:
    storage = Storage(slope=0.5)
    volume = read_volume(_slopes(tmp_path, [0, 1, 3, 4], storage), RESAMPLE)
    assert volume.voxels.dtype == np.float32
    assert _column(volume) == [0, 10, 20, 30, 40]


def test_read_volume_takes_the_earlier_of_doubled_slices(tmp_path: Path) -> None:
    paths = _slopes(tmp_path, [0, 2, 4, 6, 2])
    first = str(pydicom.dcmread(paths[1]).SOPInstanceUID)
    volume = read_volume(paths[::-1], RESAMPLE)
    assert volume.planes[1].sop_instance_uid == first
    assert len(volume.planes) == 4
    assert [problem.code for problem in volume.problems] == [SLICES_DOUBLED]


def test_read_volume_does_not_bridge_a_gap_of_four_slices(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="too wide a gap to interpolate"):
        read_volume(_slopes(tmp_path, [0, 2, 4, 14, 16]), RESAMPLE)


def test_read_volume_does_not_mend_slices_that_are_shifted(tmp_path: Path) -> None:
    paths = _slopes(tmp_path, [0, 2, 4, 8])
    dataset = pydicom.dcmread(paths[1])
    dataset.ImagePositionPatient = ["5", "0", "2"]
    dataset.save_as(paths[1])
    with pytest.raises(GeometryError, match="off the line"):
        read_volume(paths, RESAMPLE)


def test_read_volume_reports_no_problem_of_a_regular_stack(tmp_path: Path) -> None:
    assert read_volume(_slopes(tmp_path, [0, 2, 4, 6]), RESAMPLE).problems == ()


def test_read_volume_reports_a_tilted_gantry(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.ImagePositionPatient = ["0", f"{number:g}", f"{2 * number:g}"]

    volume = read_volume(write_series(tmp_path, shape=(4, 4, 4), change=change))
    (problem,) = volume.problems
    assert problem.code == SLICES_TILTED
    assert "26.6 degrees" in problem.text  # atan(1/2)
