"""The pixels of one image: stored values out of any transfer syntax, and what they mean after the modality LUT."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from medaet.dicom.codestream import check_codestream
from medaet.dicom.elements import read_elements
from medaet.dicom.image import Image
from medaet.dicom.walk import UNDEFINED_LENGTH
from medaet.errors import InstanceError

PREFERRED_DECODERS = {
    JPEGBaseline8Bit: "gdcm",
    JPEGExtended12Bit: "gdcm",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEG2000Lossless: "gdcm",
    JPEG2000: "gdcm",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    RLELossless: "pylibjpeg",
}
"""The fastest plugin for each transfer syntax; where it is missing or fails, others are tried."""

CODESTREAMS = frozenset(PREFERRED_DECODERS) - {RLELossless}
"""Transfer syntaxes whose frames begin with a header of their own."""

DIRECT = frozenset({ExplicitVRLittleEndian, ImplicitVRLittleEndian})
"""Transfer syntaxes whose pixels are read into place, without a decoder."""

INT16 = np.iinfo(np.int16)

Stored = NDArray[np.integer[Any]]


def stored_values(image: Image) -> Stored:
    """Read the pixels as they are stored, before the modality LUT; MONOCHROME1 is not inverted.

    Returns:
        (row, column), 8, 16 or 32 bits, signed or not as the image says; unused bits are cleared.

    Raises:
        InstanceError: the pixels are cut short, or no decoder can read them; the message names the instance.
    """
    if image.transfer_syntax_uid in DIRECT:
        return _used_bits(_read(image), image)
    return _decode(image)


def put_whole(image: Image, plane: NDArray[np.int16]) -> bool:
    """Put modality values into a slice when they are whole numbers that int16 holds.

    Args:
        image: Where the pixels come from.
        plane: (row, column), overwritten.

    Returns:
        False when they do not fit; `plane` then holds nothing of use.

    Source:
        PS3.3 §C.11.1.1.2.
    """
    if not (image.slope.is_integer() and image.intercept.is_integer()):
        return False
    slope, intercept = int(image.slope), int(image.intercept)
    stored = stored_values(image)
    ends = [int(end) * slope + intercept for end in (stored.min(), stored.max())]
    if min(ends) < INT16.min or max(ends) > INT16.max:
        return False
    plane[...] = stored
    if slope != 1:
        plane *= _wrapped(slope)
    if intercept != 0:
        plane += _wrapped(intercept)
    return True


def put_real(image: Image, plane: NDArray[np.float32]) -> None:
    """Put modality values, computed with 64 bits, into a slice.

    Args:
        image: Where the pixels come from.
        plane: (row, column), overwritten.
    """
    plane[...] = stored_values(image) * np.float64(image.slope) + image.intercept


def _wrapped(number: int) -> np.int16:
    """Return a number modulo 2**16: int16 arithmetic wraps too, so a result that fits comes out right."""
    return np.int16((number + 2**15) % 2**16 - 2**15)


def _read(image: Image) -> Stored:
    """Read native pixels from their place in the file, in one copy."""
    pixels = image.pixels
    kind = "i" if pixels.is_signed else "u"
    stored = np.empty((pixels.rows, pixels.columns), f"<{kind}{pixels.bits_allocated // 8}")
    if image.pixel_data.length == UNDEFINED_LENGTH or image.pixel_data.length < stored.nbytes:
        raise InstanceError(
            f"PixelData is shorter than Rows x Columns: the header contradicts itself ({image.name})"
        )
    try:
        with image.path.open("rb", buffering=0) as file:
            file.seek(image.pixel_data.offset)
            count = file.readinto(stored.data.cast("B"))
    except OSError as error:
        reason = error.strerror or "no reason given"
        raise InstanceError(f"the pixels cannot be read: {reason} ({image.name})") from error
    if count != stored.nbytes:
        raise InstanceError(
            f"the pixel data is cut short: {stored.nbytes} bytes expected, {count} there; "
            f"send the instance again ({image.name})"
        )
    return stored


def _used_bits(stored: Stored, image: Image) -> Stored:
    """Clear the bits that hold no value (PS3.5 §8.1.1): old scanners keep overlays there."""
    pixels = image.pixels
    unused = pixels.bits_allocated - pixels.bits_stored
    if unused == 0:
        return stored
    low = -(1 << pixels.bits_stored - 1) if pixels.is_signed else 0
    if (
        pixels.high_bit == pixels.bits_stored - 1
        and low <= stored.min()
        and stored.max() < low + (1 << pixels.bits_stored)
    ):
        return stored
    # To the top and back: the shift right repeats the sign bit of signed values.
    return (stored << (pixels.bits_allocated - 1 - pixels.high_bit)) >> unused


def _decode(image: Image) -> Stored:
    syntax = UID(image.transfer_syntax_uid)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise InstanceError(
            f"no decoder knows transfer syntax {syntax}; send the series uncompressed ({image.name})"
        ) from error
    content = _encoded(image)
    cause: BaseException | None = None
    for plugin in _plugins(decoder, syntax):
        try:
            return _decoded(decoder, plugin, content, image)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 -- codecs raise anything; a panic in Rust is no Exception
            cause = error
    raise InstanceError(
        f"the pixels cannot be decoded from transfer syntax {syntax} "
        f"({type(cause).__name__}); send the series uncompressed ({image.name})"
    ) from cause


def _encoded(image: Image) -> bytes:
    try:
        content = read_elements(image.path.read_bytes()).content
    except OSError as error:
        reason = error.strerror or "no reason given"
        raise InstanceError(f"the pixels cannot be read: {reason} ({image.name})") from error
    start, length = image.pixel_data.offset, image.pixel_data.length
    return content[start:] if length == UNDEFINED_LENGTH else content[start : start + length]


def _plugins(decoder: Decoder, syntax: UID) -> tuple[str, ...]:
    """Return the decoders to try, the best first.

    gdcm is never the second try: what another decoder refused is likely damaged, and then gdcm may end the process.
    """
    if not syntax.is_encapsulated:
        return ("",)
    preferred = PREFERRED_DECODERS.get(syntax, "")
    others = [one for one in decoder.available_plugins if one not in (preferred, "gdcm")]
    return (*([preferred] if preferred in decoder.available_plugins else []), *others)


def _decoded(decoder: Decoder, plugin: str, content: bytes, image: Image) -> Stored:
    pixels = image.pixels
    if UID(image.transfer_syntax_uid) in CODESTREAMS:
        check_codestream(get_frame(content, 0, number_of_frames=1), pixels)
    options: dict[str, Any] = {
        "rows": pixels.rows,
        "columns": pixels.columns,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "photometric_interpretation": pixels.photometric_interpretation,
        "bits_allocated": pixels.bits_allocated,
        "bits_stored": pixels.bits_stored,
        "pixel_representation": int(pixels.is_signed),
        "pixel_keyword": "PixelData",
        "pixel_vr": image.pixel_data.vr,
    }
    return decoder.as_array(content, decoding_plugin=plugin, **options)[0]
