"""Series that are no volume: each is refused with a sentence that names an instance."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medaet.dicom.stack import Choice
from medaet.dicom.volume import read_volume
from medaet.errors import GeometryError, InstanceError
from medaet.testing.phantom import CORONAL, write_series

RAMP = np.arange(3 * 4 * 5).reshape(3, 4, 5)

Change = Callable[[Dataset, int], None]


def _set(keyword: str, value: object, *, of_slice: int | None = None) -> Change:
    """Return a change that sets an attribute, None to leave it out, of one slice or of all."""

    def change(dataset: Dataset, number: int) -> None:
        if of_slice in (None, number):
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)

    return change


def test_read_volume_refuses_no_files() -> None:
    with pytest.raises(GeometryError, match="no image"):
        read_volume([])


def test_read_volume_refuses_a_missing_slice(tmp_path: Path) -> None:
    paths = write_series(tmp_path, shape=(6, 4, 4))
    neighbours = [str(pydicom.dcmread(paths[n]).SOPInstanceUID) for n in (2, 4)]
    with pytest.raises(GeometryError, match=", ".join(neighbours) + r" \(1 missing there\)"):
        read_volume([*paths[:3], *paths[4:]])


def test_read_volume_refuses_a_slice_that_comes_twice(tmp_path: Path) -> None:
    paths = write_series(tmp_path, shape=(3, 4, 4))
    with pytest.raises(GeometryError, match="held by two instances"):
        read_volume([*paths, paths[1]])


def test_read_volume_refuses_instances_of_another_series(tmp_path: Path) -> None:
    change = _set("SeriesInstanceUID", "1.2.3", of_slice=2)
    paths = write_series(tmp_path, voxels=RAMP, change=change)
    odd = str(pydicom.dcmread(paths[2]).SOPInstanceUID)
    with pytest.raises(GeometryError, match=f"SeriesInstanceUID differs within the series.*{odd}"):
        read_volume(paths)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImageOrientationPatient", list(CORONAL)),
        ("FrameOfReferenceUID", "1.2.3"),
        ("Modality", "PT"),
        ("Rows", 3),
    ],
)
def test_read_volume_refuses_the_gap_that_an_odd_slice_leaves(
    tmp_path: Path, keyword: str, value: object
) -> None:
    paths = write_series(tmp_path, shape=(5, 4, 4), change=_set(keyword, value, of_slice=2))
    with pytest.raises(GeometryError, match="1 missing there"):
        read_volume(paths)


def test_read_volume_refuses_a_volume_with_fewer_slices_than_needed(tmp_path: Path) -> None:
    paths = write_series(tmp_path, shape=(5, 4, 4))
    with pytest.raises(GeometryError, match="has 5 slices where 6 are needed"):
        read_volume(paths, Choice(minimum_slices=6))


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("ImagePositionPatient", None, "has no ImagePositionPatient"),
        ("ImageOrientationPatient", None, "has no ImageOrientationPatient"),
        ("PixelSpacing", None, "has no PixelSpacing"),
        ("ImagePositionPatient", [1, 2], "ImagePositionPatient holds 2 numbers instead of 3"),
        ("PixelSpacing", ["0", "1"], "PixelSpacing is not positive"),
    ],
)
def test_read_volume_refuses_what_is_no_plane_of_a_volume(
    tmp_path: Path, keyword: str, value: object, said: str
) -> None:
    paths = write_series(tmp_path, shape=(2, 4, 4), change=_set(keyword, value, of_slice=1))
    odd = str(pydicom.dcmread(paths[1]).SOPInstanceUID)
    with pytest.raises(GeometryError, match=f"{said}.*{odd}"):
        read_volume(paths)


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("NumberOfFrames", "4", "holds 4 frames without places"),
        ("PhotometricInterpretation", "RGB", "the image is RGB, not greyscale"),
        ("SamplesPerPixel", 3, "not greyscale"),
    ],
)
def test_read_volume_refuses_a_series_of_nothing_but_other_images(
    tmp_path: Path, keyword: str, value: object, said: str
) -> None:
    paths = write_series(tmp_path, shape=(2, 4, 4), change=_set(keyword, value))
    odd = str(pydicom.dcmread(paths[0]).SOPInstanceUID)
    with pytest.raises(GeometryError, match=f"{said}.*{odd}"):
        read_volume(paths)


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("PixelData", None, "no PixelData"),
        ("PixelData", b"\0" * 10, "shorter than Rows x Columns"),
        ("Rows", 0, "Rows or Columns is 0"),
        ("Rows", None, "Rows is not one whole number"),
        ("BitsAllocated", 12, "BitsAllocated is 12"),
        ("BitsStored", 17, "BitsStored 17 and HighBit 15 do not fit"),
        ("HighBit", 20, "do not fit"),
        ("RescaleSlope", "0", "RescaleSlope is 0"),
        ("ModalityLUTSequence", [Dataset()], "Modality LUT Sequence"),
    ],
)
def test_read_volume_refuses_an_instance_that_contradicts_itself(
    tmp_path: Path, keyword: str, value: object, said: str
) -> None:
    paths = write_series(tmp_path, shape=(2, 4, 4), change=_set(keyword, value, of_slice=1))
    odd = str(pydicom.dcmread(paths[1]).SOPInstanceUID)
    with pytest.raises(InstanceError, match=f"{said}.*{odd}"):
        read_volume(paths)


@pytest.mark.parametrize("number", [b"NaN ", b"inf ", b"1e999", b"one"])
def test_read_volume_refuses_positions_that_are_no_numbers(tmp_path: Path, number: bytes) -> None:
    (path,) = write_series(tmp_path, shape=(1, 4, 4), origin=(12345, 0, 0))
    path.write_bytes(path.read_bytes().replace(b"12345.0\\", number.ljust(7) + b"\\"))
    with pytest.raises(InstanceError, match="ImagePositionPatient holds"):
        read_volume([path])


def test_read_volume_refuses_a_file_that_is_cut_short(tmp_path: Path) -> None:
    paths = write_series(tmp_path, shape=(3, 4, 4))
    paths[1].write_bytes(paths[1].read_bytes()[:-7])
    odd = str(pydicom.dcmread(paths[0]).SOPInstanceUID)
    with pytest.raises(InstanceError, match="cut short: 32 bytes expected, 25 there") as caught:
        read_volume(paths)
    assert odd not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text", bytes(128) + b"DICM"])
def test_read_volume_refuses_files_that_are_not_dicom(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(InstanceError):
        read_volume([tmp_path / "a.dcm"])


def test_read_volume_refuses_a_file_that_is_gone(tmp_path: Path) -> None:
    paths = write_series(tmp_path, shape=(3, 4, 4))
    paths[1].unlink()
    with pytest.raises(InstanceError, match="No such file"):
        read_volume(paths)
