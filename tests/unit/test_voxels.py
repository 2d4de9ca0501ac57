"""Voxels read side by side, by several threads: the same as one after the other."""

import os
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian

from medaet.dicom import voxels as reading
from medaet.dicom.pixels import PixelReader
from medaet.dicom.volume import read_volume
from medaet.errors import InstanceError
from medaet.testing.phantom import Storage, write_series

RAMP = np.arange(7 * 4 * 5).reshape(7, 4, 5)


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[PixelReader]:
    """Three cores, and threads that are worth starting for anything; lists who reads."""
    readers: list[PixelReader] = []

    def enter(self: PixelReader) -> PixelReader:
        readers.append(self)
        return self

    monkeypatch.setattr(reading, "LANE_BYTES", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(PixelReader, "__enter__", enter)
    return readers


@pytest.mark.parametrize("intercept", [0, -1024])
def test_threads_read_what_one_does(
    tmp_path: Path, opened: list[PixelReader], intercept: int
) -> None:
    voxels = RAMP + intercept
    paths = write_series(tmp_path, voxels=voxels, storage=Storage(intercept=intercept))
    assert np.array_equal(read_volume(paths).voxels, voxels)
    assert len(opened) == 3


def test_the_last_thread_may_find_that_values_need_more_than_int16(tmp_path: Path) -> None:
    voxels = RAMP.copy()
    voxels[6, 3, 4] = 40_000
    volume = read_volume(write_series(tmp_path, voxels=voxels, storage=Storage(is_signed=False)))
    assert volume.voxels.dtype == np.float32
    assert np.array_equal(volume.voxels, voxels)


@pytest.mark.parametrize("number", [0, 3, 6])
def test_a_cut_slice_is_named_whichever_thread_reads_it(tmp_path: Path, number: int) -> None:
    paths = write_series(tmp_path, voxels=RAMP)
    os.truncate(paths[number], paths[number].stat().st_size - 8)
    with pytest.raises(InstanceError, match=r"cut short.*SOP Instance UID"):
        read_volume(paths)


def test_what_a_decoder_reads_stays_with_one_thread(
    tmp_path: Path, opened: list[PixelReader]
) -> None:
    storage = Storage(transfer_syntax_uid=ExplicitVRBigEndian)
    paths = write_series(tmp_path, voxels=RAMP, storage=storage)
    assert np.array_equal(read_volume(paths).voxels, RAMP)
    assert len(opened) == 1
