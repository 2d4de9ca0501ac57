"""The values of volumes: rescaling, types, padding, and the arrays they are read into."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medaet.dicom.volume import Volume, read_volume
from medaet.testing.phantom import Storage, write_series

RAMP = np.arange(3 * 4 * 5).reshape(3, 4, 5)


def _read_back(folder: Path, voxels: NDArray[Any], storage: Storage) -> Volume:
    return read_volume(write_series(folder, voxels=voxels, storage=storage))


@pytest.mark.parametrize(
    "storage",
    [
        Storage(),
        Storage(intercept=-1024, is_signed=False, bits_stored=12),
        Storage(intercept=-32768, is_signed=False),
        Storage(slope=3, intercept=-7),
        Storage(slope=-1, intercept=100),
        Storage(bits_stored=12),
        Storage(intercept=-1000, is_signed=False, bits_allocated=8, bits_stored=8),
        Storage(bits_allocated=32, bits_stored=32),
        Storage(is_signed=False, intercept=-70000, bits_allocated=32, bits_stored=24),
    ],
    ids=str,
)
def test_read_volume_returns_whole_values_as_int16(tmp_path: Path, storage: Storage) -> None:
    offset = -1000 if storage.bits_allocated == 8 else 0
    voxels = (np.arange(60).reshape(3, 4, 5) * 3 - 7) + offset + 7
    voxels -= (voxels - int(storage.intercept)) % int(storage.slope)
    volume = _read_back(tmp_path, voxels, storage)
    assert volume.voxels.dtype == np.int16
    assert np.array_equal(volume.voxels, voxels)


@pytest.mark.parametrize(("low", "high"), [(-32768, 0), (0, 32767)])
def test_read_volume_returns_int16_up_to_its_ends(tmp_path: Path, low: int, high: int) -> None:
    voxels = np.array([[[low, high]]])
    volume = _read_back(tmp_path, voxels, Storage(intercept=-32768, is_signed=False))
    assert volume.voxels.dtype == np.int16
    assert np.array_equal(volume.voxels, voxels)


def test_read_volume_returns_float32_when_a_value_of_any_slice_exceeds_int16(
    tmp_path: Path,
) -> None:
    voxels = RAMP.copy()
    voxels[2, 0, 0] = 32768
    volume = _read_back(tmp_path, voxels, Storage(is_signed=False))
    assert volume.voxels.dtype == np.float32
    assert np.array_equal(volume.voxels, voxels)


def test_read_volume_returns_float32_for_slopes_that_are_not_whole(tmp_path: Path) -> None:
    voxels = RAMP * 0.25 - 3.5
    volume = _read_back(tmp_path, voxels, Storage(slope=0.25, intercept=-3.5))
    assert volume.voxels.dtype == np.float32
    assert np.array_equal(volume.voxels, voxels)


def test_read_volume_rescales_each_slice_by_its_own_factors(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.RescaleSlope = str(number + 1)
        dataset.RescaleIntercept = str(-10 * number)

    volume = read_volume(write_series(tmp_path, voxels=RAMP, change=change))
    factors = np.array([1, 2, 3])[:, None, None]
    assert np.array_equal(volume.voxels, RAMP * factors - 10 * (factors - 1))


def test_read_volume_takes_values_as_they_are_without_rescaling(tmp_path: Path) -> None:
    def change(dataset: Dataset, _: int) -> None:
        del dataset.RescaleSlope
        del dataset.RescaleIntercept

    assert np.array_equal(
        read_volume(write_series(tmp_path, voxels=RAMP, change=change)).voxels, RAMP
    )


def test_read_volume_does_not_invert_monochrome1(tmp_path: Path) -> None:
    storage = Storage(photometric_interpretation="MONOCHROME1")
    assert np.array_equal(_read_back(tmp_path, RAMP, storage).voxels, RAMP)


@pytest.mark.parametrize(("signed", "value"), [(0, 0x0123), (1, -0x0123)])
def test_read_volume_ignores_bits_that_hold_no_value(
    tmp_path: Path, signed: int, value: int
) -> None:
    def change(dataset: Dataset, _: int) -> None:
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, signed
        stored = np.full((4, 5), value & 0x0FFF, "<u2")
        stored[1:3] |= 0xA000  # an overlay in the upper bits
        dataset.PixelData = stored.tobytes()

    assert np.all(read_volume(write_series(tmp_path, voxels=RAMP, change=change)).voxels == value)


def test_read_volume_shifts_values_that_lie_in_the_upper_bits(tmp_path: Path) -> None:
    def change(dataset: Dataset, _: int) -> None:
        dataset.BitsStored, dataset.HighBit = 12, 15
        dataset.PixelData = np.full((4, 5), -5 * 16 + 3, "<i2").tobytes()

    assert np.all(read_volume(write_series(tmp_path, voxels=RAMP, change=change)).voxels == -5)


# Padding, and where the voxels go.


def _padded(dataset: Dataset, _: int) -> None:
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    dataset.add_new("PixelPaddingRangeLimit", "SS", -1990)


def test_read_volume_keeps_padding_and_says_which_values_it_is(tmp_path: Path) -> None:
    voxels = RAMP.copy()
    voxels[:, 0, 0] = -3024
    voxels[:, 0, 1] = -3015
    storage = Storage(intercept=-1024)
    volume = read_volume(write_series(tmp_path, voxels=voxels, storage=storage, change=_padded))
    assert np.array_equal(volume.voxels, voxels)
    assert volume.padding == (-3024.0, -3014.0)
    expected = np.ones(RAMP.shape, bool)
    expected[:, 0, :2] = False
    assert np.array_equal(volume.measured(), expected)


def test_read_volume_measures_every_voxel_without_padding(tmp_path: Path) -> None:
    volume = read_volume(write_series(tmp_path, voxels=RAMP))
    assert volume.padding is None
    assert volume.measured().all()


def test_read_volume_reads_into_the_array_it_is_given(tmp_path: Path) -> None:
    given = np.empty((3, 4, 5), np.int16)
    volume = read_volume(write_series(tmp_path, voxels=RAMP), allocate=lambda shape, dtype: given)
    assert np.shares_memory(volume.voxels, given)
    assert np.array_equal(given, RAMP)
