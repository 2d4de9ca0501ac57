"""The bundled scans."""

from pathlib import Path

import pydicom
import pytest

from medaet.demo.scans import ScanName, write_scan
from medaet.dicom.volume import read_volume


@pytest.mark.parametrize(
    ("name", "shape"), [("chest-ct", (48, 512, 512)), ("brain-mr", (25, 256, 256))]
)
def test_write_scan_writes_a_regular_uncompressed_series(
    tmp_path: Path, name: ScanName, shape: tuple[int, int, int]
) -> None:
    paths = write_scan(name, tmp_path)
    assert read_volume(paths).voxels.shape == shape
    assert not pydicom.dcmread(paths[0]).file_meta.TransferSyntaxUID.is_compressed


@pytest.mark.parametrize(("name", "original"), [("chest-ct", "chest_ct"), ("brain-mr", "brain_mr")])
def test_write_scan_writes_the_original_pixels(
    tmp_path: Path, scans: Path, name: ScanName, original: str
) -> None:
    for written, source in zip(
        write_scan(name, tmp_path), sorted((scans / original).glob("*.dcm")), strict=True
    ):
        assert pydicom.dcmread(written).PixelData == pydicom.dcmread(source).PixelData
