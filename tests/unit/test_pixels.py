"""Pixels out of every transfer syntax, and the refusal of damaged ones."""

import contextlib
from pathlib import Path
from typing import Any

import gdcm  # type: ignore[import-untyped]
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medaet.dicom.codestream import CodestreamHeader, check_codestream, codestream_header
from medaet.dicom.image import read_images
from medaet.dicom.modality_lut import used_bits
from medaet.dicom.pixel_module import PixelDescription
from medaet.dicom.pixels import PixelReader
from medaet.dicom.volume import read_volume
from medaet.errors import InstanceError
from medaet.testing.phantom import Storage, replace_pixels, write_series

NATIVE = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless]
STORED = [
    Storage(),
    Storage(bits_stored=12),
    Storage(is_signed=False, bits_stored=12),
    Storage(is_signed=False),
    Storage(is_signed=False, bits_allocated=8, bits_stored=8),
    Storage(bits_allocated=8, bits_stored=8),
]
SIZE = 48
HTJ2K_SAMPLES = Path(__file__).parents[1] / "data" / "htj2k.npz"


def _smooth(storage: Storage) -> NDArray[np.int64]:
    """Return (2, 48, 48) values that reach both ends of what the storage can hold."""
    low = -(1 << storage.bits_stored - 1) if storage.is_signed else 0
    low, high = max(low, -30000), min(low + (1 << storage.bits_stored) - 1, 30000)
    ramp = np.linspace(low, high, 2 * SIZE * SIZE)
    return np.rint(ramp).astype(int).reshape(2, SIZE, SIZE)


def _with_syntax(storage: Storage, syntax: str) -> Storage:
    return Storage(
        is_signed=storage.is_signed,
        bits_allocated=storage.bits_allocated,
        bits_stored=storage.bits_stored,
        transfer_syntax_uid=syntax,
    )


@pytest.mark.parametrize("syntax", [*NATIVE, *COMPRESSED], ids=lambda syntax: str(syntax.name))
@pytest.mark.parametrize("storage", STORED, ids=str)
def test_read_volume_returns_the_same_voxels_from_every_transfer_syntax(
    tmp_path: Path, syntax: str, storage: Storage
) -> None:
    voxels = _smooth(storage)
    paths = write_series(tmp_path, voxels=voxels, storage=_with_syntax(storage, syntax))
    assert np.array_equal(read_volume(paths).voxels, voxels)


def _jpeg_lossless(source: Path, target: Path) -> Path:
    """Write an instance again as scanners compress it; only gdcm can."""
    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(str(source))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target


@pytest.mark.parametrize("storage", [STORED[0], STORED[2]], ids=str)
def test_read_volume_reads_jpeg_lossless(tmp_path: Path, storage: Storage) -> None:
    voxels = _smooth(storage)
    paths = [
        _jpeg_lossless(path, path.with_suffix(".jpg.dcm"))
        for path in write_series(tmp_path, voxels=voxels, storage=storage)
    ]
    assert read_images(paths[0])[0].transfer_syntax_uid == JPEGLosslessSV1
    assert np.array_equal(read_volume(paths).voxels, voxels)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL], ids=lambda one: one.name)
@pytest.mark.parametrize("kind", ["signed", "unsigned"])
def test_read_volume_reads_high_throughput_jpeg_2000(
    tmp_path: Path, syntax: str, kind: str
) -> None:
    # Made by imagecodecs 2026.3.6 (OpenJPH) from random numbers, sorted along each row.
    stored = np.load(HTJ2K_SAMPLES)
    voxels = stored[kind]
    paths = write_series(tmp_path, voxels=voxels, storage=Storage(is_signed=kind == "signed"))
    for number, path in enumerate(paths):
        replace_pixels(path, stored[f"{kind}-{number}"].tobytes(), syntax)
    assert np.array_equal(read_volume(paths).voxels, voxels)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's opinions of its own samples
@pytest.mark.parametrize(
    "name",
    [
        *("CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm"),
        *("MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm"),
        *("J2K_pixelrep_mismatch.dcm", "693_J2KI.dcm", "MR_small_padded.dcm"),
        *("rtdose_1frame.dcm", "rtdose_expb_1frame.dcm", "rtdose_rle_1frame.dcm"),
    ],
)
def test_stored_values_agree_with_pydicom_on_its_own_samples(name: str) -> None:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    expected = pydicom.dcmread(path).pixel_array
    assert np.array_equal(_stored(Path(path)), expected)


# Damage.


def _stored(path: Path) -> NDArray[Any]:
    (image,) = read_images(path)
    with PixelReader() as reader:
        return used_bits(reader.stored(image), image.pixels)[0]


def _packed(folder: Path, syntax: str) -> Path:
    storage = _with_syntax(STORED[0], syntax)
    return write_series(folder, voxels=_smooth(storage)[:1], storage=storage)[0]


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda syntax: str(syntax.name))
def test_stored_values_refuse_an_empty_frame(tmp_path: Path, syntax: str) -> None:
    path = _packed(tmp_path, syntax)
    start = read_images(path)[0].pixel_data.offset
    empty = b"\xfe\xff\x00\xe0\0\0\0\0" * 2 + b"\xfe\xff\xdd\xe0\0\0\0\0"
    path.write_bytes(path.read_bytes()[:start] + empty)
    with pytest.raises(InstanceError, match=r"cannot be decoded.*SOP Instance UID 2\.25"):
        _stored(path)


@settings(max_examples=60, deadline=None)
@given(
    syntax=st.sampled_from([RLELossless, JPEGLSLossless]),
    flips=st.lists(st.tuples(st.integers(16, 3000), st.integers(0, 7)), min_size=1, max_size=8),
)
def test_stored_values_give_pixels_or_an_instance_error_whatever_bits_are_flipped(
    tmp_path_factory: pytest.TempPathFactory, syntax: str, flips: list[tuple[int, int]]
) -> None:
    path = _packed(tmp_path_factory.mktemp("damaged"), syntax)
    start = read_images(path)[0].pixel_data.offset
    content = bytearray(path.read_bytes())
    for position, bit in flips:
        content[start + position % (len(content) - start)] ^= 1 << bit
    path.write_bytes(content)
    with contextlib.suppress(InstanceError):
        assert _stored(path).shape == (SIZE, SIZE)


def test_stored_values_refuse_a_transfer_syntax_without_decoder(tmp_path: Path) -> None:
    path = _packed(tmp_path, RLELossless)
    video = b"1.2.840.10008.1.2.4.100\0"
    content = path.read_bytes()
    old = content.index(b"\x02\x00\x10\x00UI")
    length = int.from_bytes(content[old + 6 : old + 8], "little")
    meta = b"\x02\x00\x10\x00UI" + len(video).to_bytes(2, "little") + video
    path.write_bytes(content[:old] + meta + content[old + 8 + length :])
    with pytest.raises(
        InstanceError, match=r"no decoder knows transfer syntax 1\.2\.840\.10008\.1\.2\.4\.100"
    ):
        _stored(path)


# What a codestream says of itself.


SIXTEEN_BITS = PixelDescription(
    rows=64,
    columns=48,
    photometric_interpretation="MONOCHROME2",
    bits_allocated=16,
    bits_stored=16,
    high_bit=15,
    is_signed=False,
)


def _jpeg(precision: int = 16, rows: int = 64, columns: int = 48, components: int = 1) -> bytes:
    frame = bytes([precision, *rows.to_bytes(2), *columns.to_bytes(2), components, 1, 0x11, 0])
    return b"\xff\xd8\xff\xff\xc3\x00\x0b" + frame + b"\xff\xda\x00\x08"


def _jpeg_2000(columns: int, rows: int, left: int, top: int) -> bytes:
    sizes = (columns, rows, left, top, columns, rows, 0, 0)
    size = b"".join(number.to_bytes(4) for number in sizes)
    return b"\xff\x4f\xff\x51\x00\x29\x00\x00" + size + b"\x00\x01\x8f\x01\x01"


def test_codestream_header_finds_the_size_of_a_jpeg_behind_fill_bytes() -> None:
    assert codestream_header(_jpeg()) == CodestreamHeader(64, 48, 16, 1)


def test_codestream_header_subtracts_the_offset_of_a_jpeg_2000_image() -> None:
    assert codestream_header(_jpeg_2000(58, 84, 10, 20)) == CodestreamHeader(64, 48, 16, 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xda\x00\x08",
        _jpeg()[:12],
        _jpeg().replace(b"\xff\xda", b"\x10\xda"),
        b"\xff\x4f\xff\x51\x00",
        b"GIF89a",
    ],
)
def test_codestream_header_refuses_what_has_none(content: bytes) -> None:
    with pytest.raises(InstanceError, match="no readable header"):
        codestream_header(content)


def test_check_codestream_accepts_what_the_data_set_says() -> None:
    check_codestream(_jpeg(), SIXTEEN_BITS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_jpeg(rows=65000, columns=65000), "65000 x 65000 pixels"),
        (_jpeg(components=3), "of 3 components"),
        (_jpeg(precision=137), "137 bits"),
    ],
)
def test_check_codestream_refuses_what_the_data_set_does_not_say(content: bytes, said: str) -> None:
    with pytest.raises(InstanceError, match=said):
        check_codestream(content, SIXTEEN_BITS)
