"""A decoder process: reads compressed images and leaves their pixels in memory that its parent shares.

Run as `python -P -m medaet.dicom.decoder --fd N`; only `medaet.dicom.decoders` does so. Codecs are C and C++: what a
damaged image does to them happens here, and costs one image.
"""

import argparse
import json
import mmap
import os
import pickle
import struct
import sys
from typing import Any, BinaryIO

import numpy as np

from medaet.dicom.image import Image
from medaet.dicom.pixels import PixelReader
from medaet.errors import InstanceError

LENGTH = struct.Struct(">I")


def read_exactly(stream: BinaryIO, length: int) -> bytes:
    """Read so many bytes, or none at the end of the stream."""
    content = stream.read(length)
    return content if len(content) == length else b""


class Slots:
    """The memory shared with the parent, in slots of equal size; it grows with the images."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory: mmap.mmap | None = None

    def at(self, slot: int, slot_bytes: int) -> memoryview:
        """Return one slot."""
        size = os.fstat(self._descriptor).st_size
        if self._memory is None or len(self._memory) != size:
            self._memory = mmap.mmap(self._descriptor, size)
        return memoryview(self._memory)[slot * slot_bytes : (slot + 1) * slot_bytes]


def main() -> None:
    """Decode until the parent closes the pipe."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    slots = Slots(parser.parse_args().fd)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # codecs print, and must not answer
    with PixelReader() as reader:
        while True:
            head = read_exactly(sys.stdin.buffer, LENGTH.size)
            if not head:
                os._exit(0)
            content = read_exactly(sys.stdin.buffer, *LENGTH.unpack(head))
            image, slot, slot_bytes = pickle.loads(content)  # noqa: S301 -- our own parent wrote it
            answer = {"slot": slot, **_decoded(reader, image, slots.at(slot, slot_bytes))}
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()


def _decoded(reader: PixelReader, image: Image, memory: memoryview) -> dict[str, Any]:
    try:
        stored = reader.stored(image)
    except InstanceError as error:
        return {"error": str(error)}
    target = np.frombuffer(memory, stored.dtype, stored.size).reshape(stored.shape)
    np.copyto(target, stored)
    return {"dtype": stored.dtype.str}


if __name__ == "__main__":
    main()
