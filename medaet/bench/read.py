"""Reading a series into a volume beside other readers; all must give the same voxels."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from medaet.bench.compared import OURS, compared
from medaet.bench.report import Report
from medaet.dicom.volume import read_volume
from medaet.errors import AnalysisError
from medaet.testing.phantom import write_series

SHAPE = (200, 512, 512)


def read(
    *, quick: bool = False, rounds: int = 5, say: Callable[[str], None] = lambda _text: None
) -> Report:
    """Measure every reader that is installed on an uncompressed series of 200 slices (50 when quick).

    Raises:
        AnalysisError: a reader gave other voxels.
    """
    slices = 50 if quick else SHAPE[0]
    noise = np.random.default_rng(1).normal(0, 20, (slices, *SHAPE[1:]))
    with tempfile.TemporaryDirectory(prefix="medaet-bench-") as folder:
        say(f"writing {slices} slices")
        paths = write_series(Path(folder), voxels=noise.astype(np.int16))
        readers = {
            name: reader
            for name, reader in (
                (OURS, lambda: read_volume(paths).voxels),
                ("pydicom", lambda: by_pydicom(paths)),
                ("SimpleITK", by_simpleitk(paths)),
                ("MONAI", by_monai(paths)),
            )
            if reader is not None
        }
        expected = by_pydicom(paths)
        for name, reader in readers.items():
            if not np.array_equal(reader(), expected):
                raise AnalysisError(f"{name} read other voxels than pydicom")
        case = f"{slices} slices of 512 x 512"
        amount = ("megabytes_a_second", expected.nbytes / 1e6)
        return compared("read", case, readers, rounds, say, amount=amount)


def by_pydicom(paths: Sequence[Path]) -> NDArray[np.int16]:
    """Stack the pixels as everybody's first program does; the names are sorted already."""
    images = [pydicom.dcmread(path) for path in paths]
    stored = np.stack([image.pixel_array for image in images]).astype(np.int16)
    return stored * np.int16(images[0].RescaleSlope) + np.int16(images[0].RescaleIntercept)


def by_simpleitk(paths: Sequence[Path]) -> Callable[[], NDArray[Any]] | None:
    """Return a reader, or None where SimpleITK is not installed."""
    try:
        import SimpleITK as sitk  # noqa: N813 -- its own documentation calls it so
    except ImportError:
        return None

    def read_all() -> NDArray[Any]:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames([str(path) for path in paths])
        found: NDArray[Any] = sitk.GetArrayFromImage(reader.Execute())
        return found

    return read_all


def by_monai(paths: Sequence[Path]) -> Callable[[], NDArray[Any]] | None:
    """Return a reader, or None where MONAI is not installed."""
    try:
        from monai.data.image_reader import PydicomReader
    except ImportError:
        return None

    def read_all() -> NDArray[Any]:
        reader = PydicomReader()
        found: NDArray[Any] = reader.get_data(reader.read(str(paths[0].parent)))[0]
        return found.transpose(2, 1, 0)

    return read_all
