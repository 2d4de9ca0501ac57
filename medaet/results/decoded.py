"""An encoded result read back: its frames, where they lie in the patient, and their pixels.

It shares no code with what encodes results, and none of highdicom: a walk over data elements finds the functional
groups, and the pixels are read where the file says they are.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.elements import read_head
from medaet.dicom.functional_groups import RESULT_MACROS, frame_elements
from medaet.dicom.image import Frame, image_of
from medaet.dicom.pixels import PixelReader
from medaet.dicom.values import Elements
from medaet.errors import InstanceError, ProofError
from medaet.results.original import steps


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One frame of an encoded result.

    Attributes:
        number: From 1.
        segment: Number of its segment; 0 where it names none.
        position: Centre of the first pixel in patient coordinates, in mm.
        along_columns: Step from one pixel to the next in a row, in mm.
        along_rows: Step from one row to the next, in mm.
        source: SOP Instance UID, and number of the frame or 0, of the image that it was derived from.
    """

    number: int
    segment: int
    position: NDArray[np.float64]
    along_columns: NDArray[np.float64]
    along_rows: NDArray[np.float64]
    source: tuple[str, int]


class Decoded:
    """A multi-frame result in a file; a context manager.

    Args:
        path: The file.

    Raises:
        ProofError: it cannot be read back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            head = read_head(path)
            self._frames = frame_elements(head, RESULT_MACROS)
        except InstanceError as error:
            raise ProofError(f"the encoded result cannot be read back: {error}") from error
        if head.pixel_data is None or not self._frames:
            raise ProofError("the encoded result has no frames")
        self._pixel_data = head.pixel_data
        self.shape = (head.integer("Rows"), head.integer("Columns"))
        self.bits_allocated = head.integer("BitsAllocated")
        if int(head.decimals("NumberOfFrames")[0]) != len(self._frames):
            raise ProofError("the result has not as many functional groups as frames")
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._reader = PixelReader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()
        os.close(self._descriptor)

    def __len__(self) -> int:
        return len(self._frames)

    def frame(self, index: int) -> DecodedFrame:
        """Return one frame, counted from 0."""
        elements = self._frames[index]
        along_columns, along_rows = steps(
            _exactly(elements, "ImageOrientationPatient", 6), _exactly(elements, "PixelSpacing", 2)
        )
        frame = elements.decimals("ReferencedFrameNumber") or (0.0,)
        return DecodedFrame(
            number=index + 1,
            segment=elements.integer("ReferencedSegmentNumber", 0),
            position=np.array(_exactly(elements, "ImagePositionPatient", 3)),
            along_columns=along_columns,
            along_rows=along_rows,
            source=(elements.ascii("ReferencedSOPInstanceUID"), int(frame[0])),
        )

    def pixels(self, index: int) -> NDArray[Any]:
        """Return the pixels of one frame, (row, column): boolean from single bits, else as they are stored."""
        if self.bits_allocated == 1:
            return self._bits(index)
        if self._pixel_data.vr == "OF":
            return self._floats(index)
        elements = self._frames[index]
        image = image_of(self._path, elements, Frame("the result", index + 1, len(self._frames)))
        return self._reader.stored(image)

    def _bits(self, index: int) -> NDArray[np.bool_]:
        """Unpack a frame, the least significant bit of each byte first (PS3.5 §8.1.1, §D)."""
        rows, columns = self.shape
        first = index * rows * columns
        end = first + rows * columns
        packed = self._bytes(first // 8, -(-end // 8))
        bits = np.unpackbits(packed, bitorder="little")[first % 8 :][: rows * columns]
        return bits.reshape(rows, columns).view(np.bool_)

    def _floats(self, index: int) -> NDArray[np.float32]:
        rows, columns = self.shape
        size = rows * columns * 4
        return self._bytes(index * size, (index + 1) * size).view("<f4").reshape(rows, columns)

    def _bytes(self, start: int, end: int) -> NDArray[np.uint8]:
        content = os.pread(self._descriptor, end - start, self._pixel_data.offset + start)
        if len(content) < end - start or end > self._pixel_data.length:
            raise ProofError("the result has fewer pixels than its frames need")
        return np.frombuffer(content, np.uint8)


def _exactly(elements: Elements, keyword: str, count: int) -> tuple[float, ...]:
    values = elements.decimals(keyword)
    if len(values) != count:
        raise ProofError(f"a frame of the result has no {keyword}")
    return values
