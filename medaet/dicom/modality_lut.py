"""Stored values turned into modality values, such as HU (PS3.3 §C.11.1), in place where that is possible."""

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.decode import Stored
from medaet.dicom.image import Image
from medaet.dicom.pixel_module import PixelDescription

LEAST, GREATEST = -(2**15), 2**15 - 1
"""What int16 holds."""


def put_whole(stored: Stored, image: Image, plane: NDArray[np.int16]) -> bool:
    """Put modality values into a slice when they are whole numbers that int16 holds.

    Args:
        stored: (row, column); may be `plane` itself, seen as signed or unsigned.
        image: What they mean.
        plane: (row, column), overwritten.

    Returns:
        False when they do not fit; `plane` then holds nothing of use.

    Source:
        PS3.3 §C.11.1.1.2.
    """
    if not (image.slope.is_integer() and image.intercept.is_integer()):
        return False
    slope, intercept = int(image.slope), int(image.intercept)
    stored, limits = used_bits(stored, image.pixels)
    if not _fits(limits, slope, intercept):
        limits = (int(stored.min()), int(stored.max()))
        if not _fits(limits, slope, intercept):
            return False
    if not np.may_share_memory(stored, plane):
        np.copyto(plane, stored, casting="unsafe")
    if slope != 1:
        plane *= _wrapped(slope)
    if intercept != 0:
        plane += _wrapped(intercept)
    return True


def put_real(stored: Stored, image: Image, plane: NDArray[np.float32]) -> None:
    """Put modality values, computed with 64 bits, into a slice.

    Args:
        stored: (row, column).
        image: What they mean.
        plane: (row, column), overwritten.
    """
    values, _ = used_bits(stored, image.pixels)
    plane[...] = values * np.float64(image.slope) + image.intercept


def used_bits(stored: Stored, pixels: PixelDescription) -> tuple[Stored, tuple[int, int]]:
    """Clear the bits that hold no value (PS3.5 §8.1.1): old scanners keep overlays there.

    Returns:
        The values, in place if nothing had to be cleared, and the least and greatest that they can be.
    """
    low, high = pixels.range
    unused = pixels.bits_allocated - pixels.bits_stored
    if unused == 0:
        return stored, (low, high)
    if pixels.high_bit == pixels.bits_stored - 1:
        found = (int(stored.min()) if pixels.is_signed else 0, int(stored.max()))
        if low <= found[0] and found[1] <= high:
            return stored, found
    # To the top and back: the shift right repeats the sign bit of signed values.
    cleared = (stored << (pixels.bits_allocated - 1 - pixels.high_bit)) >> unused
    return cleared, (low, high)


def _fits(limits: tuple[int, int], slope: int, intercept: int) -> bool:
    one, other = (limit * slope + intercept for limit in limits)
    return LEAST <= one <= GREATEST and LEAST <= other <= GREATEST


def _wrapped(number: int) -> np.int16:
    """Return a number modulo 2**16: int16 arithmetic wraps too, so a result that fits comes out right."""
    return np.int16((number + 2**15) % 2**16 - 2**15)
