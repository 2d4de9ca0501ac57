"""Decoder processes: as many images as asked for, and what becomes of those that harm a codec."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from medaet.dicom.decoders import Decoders
from medaet.dicom.image import Image, read_images
from medaet.dicom.pixels import PixelReader
from medaet.dicom.volume import read_volume
from medaet.errors import InstanceError
from medaet.testing.phantom import Storage, write_series


def _series(folder: Path, syntax: str, count: int = 7, size: int = 40) -> list[Path]:
    storage = Storage(transfer_syntax_uid=syntax)
    return write_series(folder, shape=(count, size, size), storage=storage)


def _images(paths: list[Path]) -> list[Image]:
    return [image for path in paths for image in read_images(path)]


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_decoders_return_what_this_process_would(tmp_path: Path, syntax: str) -> None:
    images = _images(_series(tmp_path, syntax))
    with Decoders(2) as decoders, PixelReader() as reader:
        found = {index: stored.copy() for index, stored in decoders.stored(images)}
        assert sorted(found) == list(range(7))
        assert all(np.array_equal(found[n], reader.stored(images[n])) for n in found)


def test_decoders_take_larger_images_after_smaller_ones(tmp_path: Path) -> None:
    with Decoders(1) as decoders:
        for size in (32, 80, 48):
            paths = _series(tmp_path / str(size), JPEGLSLossless, 3, size)
            expected = read_volume(paths).voxels
            assert np.array_equal(read_volume(paths, decoders=decoders).voxels, expected)
        assert len(decoders.process_ids) == 1


def test_decoders_do_not_start_for_series_that_need_none(tmp_path: Path) -> None:
    with Decoders(2) as decoders:
        read_volume(write_series(tmp_path, shape=(3, 4, 4)), decoders=decoders)
        assert decoders.process_ids == []


def test_decoders_name_an_image_that_cannot_be_decoded(tmp_path: Path) -> None:
    paths = _series(tmp_path, JPEGLSLossless, 3)
    image = read_images(paths[1])[0]
    content = bytearray(paths[1].read_bytes())
    damaged = image.pixel_data.offset + 60
    content[damaged : damaged + 400] = bytes(400)
    paths[1].write_bytes(content)
    with Decoders(1) as decoders, pytest.raises(InstanceError, match=image.plane.name):
        read_volume(paths, decoders=decoders)


def test_decoders_say_which_image_ended_a_process_and_work_again(tmp_path: Path) -> None:
    images = _images(_series(tmp_path, JPEGLSLossless))
    with Decoders(1) as decoders:
        reading = decoders.stored(images)
        next(reading)
        os.kill(decoders.process_ids[0], signal.SIGKILL)
        with pytest.raises(InstanceError, match=r"ended the decoder \(signal 9\).*UID 2\.25"):
            list(reading)
        assert len(list(decoders.stored(images))) == 7


def test_decoders_do_not_wait_for_ever_for_a_process_that_hangs(tmp_path: Path) -> None:
    images = _images(_series(tmp_path, JPEGLSLossless))
    with Decoders(1, silence_seconds=5) as decoders:
        reading = decoders.stored(images)
        next(reading)
        os.kill(decoders.process_ids[0], signal.SIGSTOP)
        with pytest.raises(InstanceError, match=r"did not answer for 5 s"):
            list(reading)
        assert decoders.process_ids == []


def test_decoders_end_with_their_parent_not_waiting(tmp_path: Path) -> None:
    images = _images(_series(tmp_path, JPEGLSLossless))
    decoders = Decoders(2)
    next(decoders.stored(images))
    processes = decoders.process_ids
    decoders.close()
    assert not any(Path(f"/proc/{one}").exists() for one in processes)
