"""The pixels of one image: stored values out of any transfer syntax, and what they mean after the modality LUT."""

import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medaet.dicom.decode import Stored, decoded
from medaet.dicom.elements import read_elements
from medaet.dicom.fragments import Fragment, frame_fragments
from medaet.dicom.image import Image
from medaet.dicom.walk import UNDEFINED_LENGTH
from medaet.errors import InstanceError

DIRECT = frozenset({ExplicitVRLittleEndian, ImplicitVRLittleEndian})
"""Transfer syntaxes whose pixels are read into place, without a decoder."""

NATIVE = DIRECT | {ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
"""Transfer syntaxes whose pixels are not compressed one by one."""

ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"


class PixelReader:
    """Reads stored values; the file of the last image stays open, because its next frame may be asked for.

    A context manager.
    """

    def __init__(self) -> None:
        self._file: _File | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def stored(self, image: Image) -> Stored:
        """Read the pixels as they are stored, before the modality LUT; MONOCHROME1 is not inverted.

        Returns:
            (row, column), 8, 16 or 32 bits, signed or not as the image says; bits without a value may hold anything.

        Raises:
            InstanceError: the pixels are cut short, or no decoder can read them; the message names the instance.
        """
        file = self._opened(image)
        try:
            if image.transfer_syntax_uid in NATIVE:
                return _native(file, image)
            frame = file.frame(image)
        except (InstanceError, OSError) as error:
            raise _named(error, image) from error
        if image.transfer_syntax_uid == ENCAPSULATED_UNCOMPRESSED:
            return _shaped(frame, image)
        return decoded(frame, image)

    def into(self, image: Image, plane: NDArray[np.int16]) -> Stored:
        """Read the pixels as they are stored, without a copy where that is possible.

        Args:
            image: Where the pixels come from.
            plane: (row, column), contiguous; overwritten when the pixels have 16 bits and no decoder is needed.

        Returns:
            What `stored` returns; it may be `plane` itself, seen as signed or unsigned.
        """
        pixels = image.pixels
        if image.transfer_syntax_uid not in DIRECT or pixels.bits_allocated != 16:
            return self.stored(image)
        view = plane.view("<i2" if pixels.is_signed else "<u2")
        try:
            start, length = _place(image)
            self._opened(image).read_into(view.data.cast("B"), start, length)
        except (InstanceError, OSError) as error:
            raise _named(error, image) from error
        return view

    def _opened(self, image: Image) -> "_File":
        path = os.fspath(image.path)  # words are compared faster than paths
        if self._file is None or self._file.path != path:
            self.close()
            try:
                self._file = _File(path)
            except OSError as error:
                raise _named(error, image) from error
        return self._file


class _File:
    """One open file of the series."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._fragments: list[tuple[Fragment, ...]] = []

    def close(self) -> None:
        os.close(self._descriptor)

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def read_into(self, buffer: memoryview, offset: int, length: int) -> None:
        count = os.preadv(self._descriptor, [buffer], offset)
        if count != length:
            raise _cut_short(length, count)

    @cached_property
    def inflated(self) -> bytes:
        """The data set of a deflated file."""
        return read_elements(Path(self.path).read_bytes()).content

    def frame(self, image: Image) -> bytes:
        """Return one compressed frame."""
        if not self._fragments:
            self._fragments = frame_fragments(self.read, image.pixel_data.offset, image.frames)
        parts = self._fragments[max(image.plane.frame, 1) - 1]
        return b"".join(self.read(offset, length) for offset, length in parts)


def _place(image: Image) -> tuple[int, int]:
    """Return offset and length in bytes of a frame that is not compressed."""
    size, number = image.pixels.size_bytes, max(image.plane.frame, 1)
    pixel_data = image.pixel_data
    if pixel_data.length == UNDEFINED_LENGTH or pixel_data.length < size * number:
        raise InstanceError(
            "PixelData is shorter than Rows x Columns: the header contradicts itself"
        )
    return pixel_data.offset + size * (number - 1), size


def _native(file: _File, image: Image) -> Stored:
    start, length = _place(image)
    if image.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        content = file.inflated[start : start + length]
    elif _is_swapped(image):
        content = _swapped(file, image, start, length)
    else:
        content = file.read(start, length)
    if len(content) != length:
        raise _cut_short(length, len(content))
    return _shaped(content, image)


def _is_swapped(image: Image) -> bool:
    """Whether bytes lie in big endian words of 16 bits, two by two (PS3.5 §8.1.1, §D.1)."""
    is_big = image.transfer_syntax_uid == ExplicitVRBigEndian
    return is_big and image.pixels.bits_allocated == 8 and image.pixel_data.vr == "OW"


def _swapped(file: _File, image: Image, start: int, length: int) -> bytes:
    before = (start - image.pixel_data.offset) % 2
    words = file.read(start - before, (before + length + 1) // 2 * 2)
    swapped = np.frombuffer(words[: len(words) // 2 * 2], np.uint16).byteswap().tobytes()
    return swapped[before : before + length]


def _shaped(content: bytes, image: Image) -> Stored:
    pixels = image.pixels
    order = ">" if image.transfer_syntax_uid == ExplicitVRBigEndian else "<"
    dtype = np.dtype(f"{order}{'i' if pixels.is_signed else 'u'}{pixels.bits_allocated // 8}")
    if len(content) < pixels.size_bytes:
        raise _cut_short(pixels.size_bytes, len(content))
    count = pixels.rows * pixels.columns
    return np.frombuffer(content, dtype, count).reshape(pixels.rows, pixels.columns)


def _cut_short(expected: int, found: int) -> InstanceError:
    return InstanceError(
        f"the pixel data is cut short: {expected} bytes expected, {found} there; "
        "send the instance again"
    )


def _named(error: InstanceError | OSError, image: Image) -> InstanceError:
    if isinstance(error, InstanceError):
        return InstanceError(f"{error} ({image.name})")
    reason = error.strerror or "no reason given"
    return InstanceError(f"the pixels cannot be read: {reason} ({image.name})")
