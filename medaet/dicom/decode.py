"""Compressed frames decoded by the fastest library for each transfer syntax."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
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
from medaet.dicom.image import Image
from medaet.errors import InstanceError

PREFERRED_DECODERS = {
    JPEGBaseline8Bit: "gdcm",
    JPEGExtended12Bit: "gdcm",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEG2000Lossless: "gdcm",
    JPEG2000: "gdcm",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
    HTJ2K: "pylibjpeg",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    RLELossless: "pylibjpeg",
}
"""The fastest plugin for each transfer syntax; where it is missing or fails, others are tried."""

CODESTREAMS = frozenset(PREFERRED_DECODERS) - {RLELossless}
"""Transfer syntaxes whose frames begin with a header of their own."""

LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless})
"""Transfer syntaxes that change values; JPEG 2000 and HTJ2K may, and then the data set says so."""

Stored = NDArray[np.integer[Any]]


def decoded(frame: bytes, image: Image) -> Stored:
    """Decode one frame.

    Args:
        frame: Its fragments, joined.
        image: What the data set says of it.

    Returns:
        (row, column), 8, 16 or 32 bits, signed or not as the data set says.

    Raises:
        InstanceError: no decoder can read it; the message names the instance.
    """
    syntax = UID(image.transfer_syntax_uid)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise InstanceError(
            f"no decoder knows transfer syntax {syntax}; send the series uncompressed ({image.name})"
        ) from error
    cause: BaseException | None = None
    for plugin in _plugins(decoder, syntax):
        try:
            return _decoded(decoder, plugin, frame, image)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 -- codecs raise anything; a panic in Rust is no Exception
            cause = error
    raise InstanceError(
        f"the pixels cannot be decoded from transfer syntax {syntax} "
        f"({type(cause).__name__}); send the series uncompressed ({image.name})"
    ) from cause


def _plugins(decoder: Decoder, syntax: UID) -> tuple[str, ...]:
    """Return the decoders to try, the best first.

    gdcm is never the second try: what another decoder refused is likely damaged, and then gdcm may end the process.
    """
    preferred = PREFERRED_DECODERS.get(syntax, "")
    others = [one for one in decoder.available_plugins if one not in (preferred, "gdcm")]
    return (*([preferred] if preferred in decoder.available_plugins else []), *others)


def _decoded(decoder: Decoder, plugin: str, frame: bytes, image: Image) -> Stored:
    pixels = image.pixels
    if UID(image.transfer_syntax_uid) in CODESTREAMS:
        check_codestream(frame, pixels)
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
    content = encapsulate([frame], has_bot=False)
    return decoder.as_array(content, decoding_plugin=plugin, **options)[0]
