"""Series into volumes, beside the readers of SimpleITK, highdicom, MONAI and pydicom; all give the same voxels.

make bench BENCH_ARGS='-k bench_read'
"""

import tracemalloc
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from monai.data.image_reader import PydicomReader
from numpy.typing import NDArray
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from medaet.dicom.decoders import Decoders
from medaet.dicom.stack import read_stack
from medaet.dicom.volume import load, read_volume
from medaet.testing.phantom import Storage, write_series
from tests.benchmarks.rounds import interleaved, show

SHAPE = (200, 512, 512)
STORED = {
    "signed, 16 bits": Storage(),
    "unsigned, 12 bits, intercept -1024": Storage(is_signed=False, bits_stored=12, intercept=-1024),
}


def smooth(shape: tuple[int, int, int]) -> NDArray[np.int16]:
    """Return CT-like values: a body of soft tissue in air, with noise that compresses as that of real scans does."""
    noise = np.random.default_rng(1).normal(0, 18, shape[1:])
    noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3**0.5
    rows, columns = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    body = np.where(rows**2 / 0.4 + columns**2 / 0.7 < 1, 40, -950)
    slices = [np.rint(body + np.roll(noise, (7 * n, 13 * n), (0, 1))) for n in range(shape[0])]
    return np.stack(slices).clip(-1024, 3071).astype(np.int16)  # as scanners do


def by_simpleitk(paths: list[Path]) -> NDArray[np.int16]:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    found: NDArray[np.int16] = SimpleITK.GetArrayFromImage(reader.Execute())
    return found


def by_monai(paths: list[Path]) -> NDArray[np.int16]:
    reader = PydicomReader()
    found: NDArray[np.int16] = reader.get_data(reader.read(str(paths[0].parent)))[0]
    return found.transpose(2, 1, 0)


def by_highdicom(paths: list[Path]) -> NDArray[np.float64]:
    images = [pydicom.dcmread(path) for path in paths]
    found: NDArray[np.float64] = highdicom.get_volume_from_series(images).array
    return found[::-1]


def by_pydicom(paths: list[Path]) -> NDArray[np.int16]:
    """Stack the pixels as everybody's first program does; the names are sorted already."""
    images = [pydicom.dcmread(path) for path in paths]
    stored = np.stack([image.pixel_array for image in images]).astype(np.int16)
    return stored * np.int16(images[0].RescaleSlope) + np.int16(images[0].RescaleIntercept)


@pytest.mark.parametrize("kind", STORED)
def test_uncompressed(tmp_path: Path, kind: str) -> None:
    paths = write_series(tmp_path, voxels=smooth(SHAPE), storage=STORED[kind])
    expected = read_volume(paths).voxels
    for other in (by_simpleitk, by_monai, by_highdicom, by_pydicom):
        assert np.array_equal(other(paths), expected)
    stack, buffer = read_stack(paths), np.empty(SHAPE, np.int16)
    rivals = {
        "MedAET, headers known, own buffer": lambda: load(stack, allocate=lambda *_: buffer),
        "MedAET, headers known": lambda: load(stack),
        "MedAET, from files": lambda: read_volume(paths),
        "pydicom, sorted names": lambda: by_pydicom(paths),
        "SimpleITK, sorted names": lambda: by_simpleitk(paths),
        "highdicom": lambda: by_highdicom(paths),
        "MONAI PydicomReader": lambda: by_monai(paths),
    }
    seconds = interleaved(rivals, rounds=15)
    show(f"200 slices of 512 x 512, {kind}", seconds, reference="MedAET, headers known, own buffer")


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_compressed(tmp_path: Path, syntax: UID) -> None:
    storage = Storage(transfer_syntax_uid=syntax)
    paths = write_series(tmp_path, voxels=smooth((60, 512, 512)), storage=storage)
    with Decoders() as decoders:
        expected = read_volume(paths, decoders=decoders).voxels  # and started, as in the daemon
        assert np.array_equal(by_simpleitk(paths), expected)
        ours = "MedAET, decoder processes"
        rivals = {
            ours: lambda: read_volume(paths, decoders=decoders),
            "MedAET, this process": lambda: read_volume(paths),
            "pydicom, sorted names": lambda: by_pydicom(paths),
            "SimpleITK, sorted names": lambda: by_simpleitk(paths),
        }
        seconds = interleaved(rivals, rounds=3)
    show(f"60 slices of 512 x 512, {syntax.name}", seconds, reference=ours)


def test_memory(tmp_path: Path) -> None:
    storages = {**STORED, "RLE": Storage(transfer_syntax_uid=RLELossless)}
    for kind, storage in storages.items():
        paths = write_series(tmp_path / kind, voxels=smooth(SHAPE), storage=storage)
        tracemalloc.start()
        volume = read_volume(paths)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        print(f"peak memory, {kind}: {peak / volume.voxels.nbytes:.3f} volumes")
