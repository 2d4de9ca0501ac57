"""Checks of the decoders: one small image in each compressed transfer syntax that scanners send."""

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    UID,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medaet.cli.checks.line import Line, fail, ok
from medaet.dicom.decode import PREFERRED_DECODERS

SIZE = 32
"""Smaller ones are not what a decoder expects: gdcm refuses JPEG 2000 below 32 pixels."""

NAMES = {
    RLELossless: "RLE",
    JPEGLosslessSV1: "JPEG Lossless",
    JPEGLSLossless: "JPEG-LS",
    JPEG2000Lossless: "JPEG 2000",
    HTJ2KLossless: "HTJ2K",
}
JPEG_LOSSLESS = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/wwALEAAgACABAREA/8QAFgABAQEAAAAAAAAAAAAAAAAAAQYQ/9oACAEBAAEAAMqqqqqqqqqq0Cqqqqqq"
    "qqqrQKqqqqqqqqqtAqqqqqqqqqq0CqqqqqqqqqrQKqqqqqqqqqtAqqqqqqqqqq0CqqqqqqqqqrQKqqqqqqqqqtAqqqqqqqqqq0Cqqqqqqqqq"
    "rQKqqqqqqqqqtAqqqqqqqqqq0CqqqqqqqqqrQKqqqqqqqqqtAqqqqqqqqqq0CqqqqqqqqqrQKqqqqqqqqqtAqqqqqqqqqq0CqqqqqqqqqrQK"
    "qqqqqqqqqtAqqqqqqqqqq0CqqqqqqqqqrQKqqqqqqqqqtAqqqqqqqqqq0CqqqqqqqqqrQKqqqqqqqqqtAqqqqqqqqqq0CqqqqqqqqqrQKqqq"
    "qqqqqqtAqqqqqqqqqq0Cqqqqqqqqqr///9k="
)
"""The numbers 0 to 1023 in 32 rows, 16 bits each; no encoder for it is among our dependencies."""

ENCODERS = {RLELossless: "pydicom", JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}
FIX = "pip install --force-reinstall 'pydicom[pixeldata]'"

IMAGE: dict[str, Any] = {
    "rows": SIZE,
    "columns": SIZE,
    "samples_per_pixel": 1,
    "number_of_frames": 1,
    "photometric_interpretation": "MONOCHROME2",
    "bits_allocated": 16,
    "bits_stored": 16,
    "pixel_representation": 0,
}


def check_decoders() -> Iterator[Line]:
    """Decode the sample in each transfer syntax, and compare it."""
    for syntax in (RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless):
        yield _decoded(syntax)
    found = get_decoder(HTJ2KLossless).available_plugins
    name = f"decoder {NAMES[HTJ2KLossless]}"
    yield ok(name, found[0]) if found else fail(name, "no plugin", FIX)


def _decoded(syntax: UID) -> Line:
    subject, plugin = f"decoder {NAMES[syntax]}", PREFERRED_DECODERS[syntax]
    expected = np.arange(SIZE * SIZE, dtype=np.uint16).reshape(SIZE, SIZE)
    try:
        content = encapsulate([_encoded(syntax, expected.tobytes())])
        options = {**IMAGE, "pixel_keyword": "PixelData", "pixel_vr": "OB"}
        found, _ = get_decoder(syntax).as_array(content, decoding_plugin=plugin, **options)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        return fail(subject, f"{plugin}: {type(error).__name__}", FIX)
    if not np.array_equal(found, expected):
        return fail(subject, f"{plugin} decodes wrongly", FIX)
    return ok(subject, plugin)


def _encoded(syntax: UID, content: bytes) -> bytes:
    if syntax == JPEGLosslessSV1:
        return JPEG_LOSSLESS
    encoder = get_encoder(syntax)
    return encoder.encode(content, encoding_plugin=ENCODERS[syntax], **IMAGE)
