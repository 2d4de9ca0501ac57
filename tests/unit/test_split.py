"""Series that hold more than one volume, and which of them is read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medaet.dicom.codes import IMAGES_LEFT_OUT, SERIES_PARTED
from medaet.dicom.image import read_images
from medaet.dicom.split import Part, split
from medaet.dicom.stack import Choice
from medaet.dicom.volume import read_volume
from medaet.testing.phantom import AXIAL, CORONAL, write_series

Change = Callable[[Dataset, int], None]
SLICES = 4


def _repeated(folder: Path, times: int, change: Callable[[Dataset, int, int], None]) -> list[Path]:
    """Write a series with every position so many times; `change` gets data set, slice and repetition."""

    def placed(dataset: Dataset, number: int) -> None:
        place, repetition = number % SLICES, number // SLICES
        dataset.ImagePositionPatient = ["0", "0", str(3 * place)]
        change(dataset, place, repetition)

    voxels = np.arange(times * SLICES).repeat(16).reshape(-1, 4, 4)
    return write_series(folder, voxels=voxels, spacing_mm=(3, 1, 1), change=placed)


def _parts(paths: list[Path]) -> list[Part]:
    return split([image for path in paths for image in read_images(path)])


def _values(paths: list[Path], choice: Choice) -> list[int]:
    """Read a volume of slices that hold one value each, and return these."""
    return [int(value) for value in read_volume(paths, choice).voxels[:, 0, 0]]


FIRST, SECOND, THIRD = [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("EchoTime", ["4.6", "9.2"]),
        ("EchoNumbers", ["1", "2"]),
        ("TemporalPositionIdentifier", ["1", "2"]),
        ("AcquisitionNumber", ["1", "2"]),
        ("InversionTime", ["100", "2500"]),
        ("DiffusionBValue", [0.0, 1000.0]),
        ("ConvolutionKernel", ["B30f", "B70f"]),
        ("KVP", ["80", "140"]),
        ("ImageType", [["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]]),
    ],
)
def test_split_tells_volumes_apart_by_what_differs_at_one_position(
    tmp_path: Path, keyword: str, values: list[object]
) -> None:
    def change(dataset: Dataset, place: int, repetition: int) -> None:
        setattr(dataset, keyword, values[repetition])

    paths = _repeated(tmp_path, 2, change)
    assert [len(part.images) for part in _parts(paths)] == [SLICES, SLICES]
    assert all(keyword in part.label for part in _parts(paths))
    assert _values(paths, Choice("first")) == FIRST
    assert _values(paths, Choice("last")) == SECOND


def test_split_parts_echoes_within_each_phase(tmp_path: Path) -> None:
    def change(dataset: Dataset, place: int, repetition: int) -> None:
        dataset.EchoTime = str(5 + repetition % 2)
        dataset.TemporalPositionIdentifier = str(1 + repetition // 2)

    paths = _repeated(tmp_path, 4, change)
    assert {part.label for part in _parts(paths)} == {
        f"EchoTime {echo}, TemporalPositionIdentifier {phase}"
        for echo in (5, 6)
        for phase in (1, 2)
    }


def test_split_falls_back_on_the_order_in_time(tmp_path: Path) -> None:
    def change(dataset: Dataset, place: int, repetition: int) -> None:
        dataset.TriggerTime = str(100 * repetition + place)  # differs in every image

    paths = _repeated(tmp_path, 3, change)
    assert [part.label for part in _parts(paths)] == [f"repetition {n}" for n in (1, 2, 3)]
    assert _values(paths[::-1], Choice("last")) == THIRD


def test_split_keeps_slices_together_whose_attributes_differ_without_repeats(
    tmp_path: Path,
) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.AcquisitionNumber = number // 2  # two packages of one stack
        dataset.EchoTime = str(number)

    paths = write_series(tmp_path, shape=(6, 4, 4), change=change)
    assert len(_parts(paths)) == 1


def test_split_leaves_a_localizer_out_and_says_so(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        if number == 0:
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            dataset.ImageOrientationPatient = list(CORONAL)

    volume = read_volume(write_series(tmp_path, shape=(5, 4, 4), change=change))
    assert len(volume.planes) == 4
    (problem,) = volume.problems
    assert problem.code == IMAGES_LEFT_OUT
    assert problem.text.startswith("1 images")


def test_split_leaves_a_colour_image_out_and_says_so(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        if number == 4:
            dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "RGB", 3

    volume = read_volume(write_series(tmp_path, shape=(5, 4, 4), change=change))
    assert len(volume.planes) == 4
    assert [problem.code for problem in volume.problems] == [IMAGES_LEFT_OUT]


def test_split_reads_a_series_of_nothing_but_localizers(tmp_path: Path) -> None:
    def change(dataset: Dataset, _: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    assert len(read_volume(write_series(tmp_path, shape=(3, 4, 4), change=change)).planes) == 3


def test_split_takes_the_largest_of_mixed_orientations_and_says_so(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        is_coronal = number < 3
        dataset.ImageOrientationPatient = list(CORONAL if is_coronal else AXIAL)
        dataset.ImagePositionPatient = [0, 2 * number if is_coronal else 0, 2 * number]

    volume = read_volume(write_series(tmp_path, shape=(8, 4, 4), change=change))
    assert len(volume.planes) == 5
    (problem,) = volume.problems
    assert problem.code == SERIES_PARTED
    assert problem.text == (
        "The series holds 2 volumes; number 2 with 5 images was analysed, the others were not."
    )


def test_split_takes_overlapping_acquisitions_as_volumes_of_their_own(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.AcquisitionNumber = 1 if number < 5 else 2
        dataset.ImagePositionPatient = ["0", "0", str(2 * number if number < 5 else 2 * number - 4)]

    paths = write_series(tmp_path, shape=(9, 4, 4), change=change)
    assert [len(part.images) for part in _parts(paths)] == [5, 4]
