"""What a compressed image says of itself, compared with the data set before a decoder gets to see it.

Decoders are C and C++: given a codestream whose size contradicts the data set, or is damaged, some end the process.
"""

import struct
from dataclasses import dataclass

from medaet.dicom.pixel_module import PixelDescription
from medaet.errors import InstanceError

_START_OF_JPEG = b"\xff\xd8"
_START_OF_JPEG_2000 = b"\xff\x4f\xff\x51"
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Start of frame of every JPEG process and of JPEG-LS: SOF0 to SOF15 without DHT, JPG and DAC; SOF55."""

_START_OF_SCAN = 0xDA
_FILL = 0xFF
_SAMPLES_BITS = 0x7F
_SIZE = struct.Struct(">8IHB")
_FRAME = struct.Struct(">BHHB")


@dataclass(frozen=True, slots=True)
class CodestreamHeader:
    """Size of a compressed image, by its own header.

    Attributes:
        precision: Bits of a sample.
        components: 1 for greyscale.
    """

    rows: int
    columns: int
    precision: int
    components: int


def check_codestream(content: bytes, pixels: PixelDescription) -> None:
    """Refuse a JPEG, JPEG-LS or JPEG 2000 image that is not what its data set says.

    Args:
        content: One frame.
        pixels: What the data set says.

    Raises:
        InstanceError: the frame has no readable header, or another size, depth or number of components.
    """
    header = codestream_header(content)
    if (header.rows, header.columns, header.components) != (pixels.rows, pixels.columns, 1):
        raise InstanceError(
            f"the compressed image has {header.rows} x {header.columns} pixels of "
            f"{header.components} components, the data set {pixels.rows} x {pixels.columns} of 1"
        )
    if not 2 <= header.precision <= pixels.bits_allocated:
        raise InstanceError(
            f"the compressed image has {header.precision} bits, the data set allocates "
            f"{pixels.bits_allocated}"
        )


def codestream_header(content: bytes) -> CodestreamHeader:
    """Read the header of a JPEG, JPEG-LS or JPEG 2000 image.

    Raises:
        InstanceError: there is none.

    Source:
        ITU-T T.81 §B.2.2, T.87 §C.2.2, T.800 §A.5.1.
    """
    try:
        if content.startswith(_START_OF_JPEG):
            return _jpeg(content)
        return _jpeg_2000(content)
    except (struct.error, IndexError, ValueError) as error:
        raise InstanceError("the compressed image has no readable header") from error


def _jpeg(content: bytes) -> CodestreamHeader:
    at, header = len(_START_OF_JPEG), None
    while (marker := _marker(content, at)) != _START_OF_SCAN:
        if marker in _FRAME_HEADERS:
            precision, rows, columns, components = _FRAME.unpack_from(content, at + 4)
            header = CodestreamHeader(rows, columns, precision, components)
        # A fill byte may precede a marker, any number of times.
        at += 1 if marker == _FILL else 2 + int.from_bytes(content[at + 2 : at + 4])
    if header is None:
        raise ValueError("no frame header before the scan")
    return header


def _marker(content: bytes, at: int) -> int:
    if content[at] != _FILL:
        raise ValueError("no marker where the segment before says")
    return content[at + 1]


def _jpeg_2000(content: bytes) -> CodestreamHeader:
    # Some writers put the file format around the codestream, which DICOM does not provide for.
    at = content.index(_START_OF_JPEG_2000)
    right, bottom, left, top, _, _, _, _, components, depth = _SIZE.unpack_from(content, at + 8)
    return CodestreamHeader(bottom - top, right - left, (depth & _SAMPLES_BITS) + 1, components)
