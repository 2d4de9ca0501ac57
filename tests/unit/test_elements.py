"""Data elements: their text, and bytes made to do harm."""

import contextlib
import zlib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from medaet.dicom.elements import read_elements
from medaet.dicom.header import read_header
from medaet.errors import InstanceError


def _sample(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


CT = _sample("CT_small.dcm")

# Explicit, implicit, big endian, deflated, encapsulated, nested sequences of undefined length.
SAMPLES = [
    CT,
    *(
        _sample(name)
        for name in (
            "MR_small_implicit.dcm",
            "MR_small_bigendian.dcm",
            "image_dfl.dcm",
            "MR_small_RLE.dcm",
            "test-SR.dcm",
            "rtplan.dcm",
        )
    ),
]


def _ct(**changes: object) -> bytes:
    """Return a small CT image with other values of some attributes; None leaves one out."""
    dataset = pydicom.dcmread(BytesIO(CT))
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return _bytes(dataset)


def _bytes(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


# Text.


@pytest.mark.parametrize(
    ("character_set", "text"),
    [
        ("ISO_IR 192", "Schädel 頭部 голова"),
        ("ISO_IR 100", "Schädel nativ"),
        ("ISO_IR 144", "голова"),
        ("GB18030", "头部平扫"),
        (["", "ISO 2022 IR 87"], "頭部 T1"),
        (["", "ISO 2022 IR 149"], "머리 T1"),
    ],
)
def test_read_header_decodes_text_in_its_character_set(
    character_set: str | list[str], text: str
) -> None:
    content = _ct(SpecificCharacterSet=character_set, SeriesDescription=text)
    assert read_header(content).series_attributes["SeriesDescription"] == text


def test_read_header_replaces_what_cannot_be_decoded() -> None:
    dataset = pydicom.dcmread(BytesIO(CT))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.add_new("SeriesDescription", "UN", b"caf\xe9")
    assert read_header(_bytes(dataset)).series_attributes["SeriesDescription"] == "caf\ufffd"


def test_read_header_puts_blanks_for_control_characters() -> None:
    dataset = pydicom.dcmread(BytesIO(CT))
    dataset.add_new("SeriesDescription", "UN", b"a\0b\x1b[31m\r\n")
    described = read_header(_bytes(dataset)).series_attributes["SeriesDescription"]
    assert described == "a b [31m"


def test_read_header_cuts_long_text() -> None:
    dataset = pydicom.dcmread(BytesIO(CT))
    dataset.add_new("SeriesDescription", "UN", b"x" * 100_000)
    assert len(read_header(_bytes(dataset)).series_attributes["SeriesDescription"]) == 256


# What is hostile.


@settings(max_examples=300, deadline=None)
@given(
    sample=st.sampled_from(SAMPLES),
    flips=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 7)), min_size=1, max_size=20),
    length=st.none() | st.integers(0, 5000),
)
def test_read_header_gives_a_header_or_an_instance_error_whatever_bits_are_flipped(
    sample: bytes, flips: list[tuple[int, int]], length: int | None
) -> None:
    damaged = bytearray(sample)
    for position, bit in flips:
        damaged[(132 + position) % len(damaged)] ^= 1 << bit
    with contextlib.suppress(InstanceError):
        assert read_header(bytes(damaged[:length])).sop_instance_uid


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
def test_read_header_gives_a_header_or_an_instance_error_for_any_bytes(content: bytes) -> None:
    with contextlib.suppress(InstanceError):
        read_header(bytes(128) + b"DICM" + content)


def _crafted(data_set: bytes, transfer_syntax_uid: str) -> bytes:
    meta = bytes(128) + b"DICM\x02\x00\x10\x00UI"
    uid = transfer_syntax_uid.encode()
    uid += b"\0" * (len(uid) % 2)
    return meta + len(uid).to_bytes(2, "little") + uid + data_set


SEQUENCE = b"\x08\x00\x15\x11" + b"\xff" * 4
ITEM = b"\xfe\xff\x00\xe0" + b"\xff" * 4


@pytest.mark.timeout(20)
def test_read_header_refuses_sequences_nested_without_end() -> None:
    with pytest.raises(InstanceError, match="nested deeper than 64 levels"):
        read_header(_crafted((SEQUENCE + ITEM) * 100_000, ImplicitVRLittleEndian))


@pytest.mark.timeout(60)
def test_read_header_refuses_data_sets_that_inflate_without_end() -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(300)) + deflater.flush()
    assert len(bomb) < 1 << 20
    with pytest.raises(InstanceError, match="inflates to more than"):
        read_header(_crafted(bomb, DeflatedExplicitVRLittleEndian))


@pytest.mark.timeout(60)
def test_read_header_takes_bounded_time_for_many_empty_elements() -> None:
    empty = b"\x09\x00\x10\x00" + bytes(4)
    with pytest.raises(InstanceError, match="StudyInstanceUID is not a UID"):
        read_header(_crafted(empty * 500_000, ImplicitVRLittleEndian))


def test_read_header_refuses_damaged_deflated_data() -> None:
    with pytest.raises(InstanceError, match="deflated data set is damaged"):
        read_header(_crafted(b"\xff" * 100, DeflatedExplicitVRLittleEndian))


def test_elements_show_nothing_of_the_patient() -> None:
    shown = repr(read_elements(CT))
    assert "CompressedSamples" not in shown
    assert len(shown) < 500
