"""Voxels in anonymous memory, which agent and child both map: nothing is copied, and nothing is left behind."""

import mmap
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.volume import Volume
from medaet.worker.protocol import Message


class Lender:
    """Makes arrays in memory that can be lent to another process; a series may be read straight into them.

    Closing takes back nothing: memory lives as long as an array here or a mapping there does.
    """

    def __init__(self) -> None:
        self._lent: dict[int, tuple[NDArray[Any], int]] = {}

    def allocate(self, shape: tuple[int, int, int], kind: "np.dtype[Any]") -> NDArray[Any]:
        """Make an array of zeros (slice, row, column)."""
        size = max(1, int(np.prod(shape)) * kind.itemsize)
        descriptor = os.memfd_create("medaet-voxels", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, size)
            memory = mmap.mmap(descriptor, size)
        except OSError:
            os.close(descriptor)
            raise
        array = np.frombuffer(memory, kind, int(np.prod(shape))).reshape(shape)
        self._lent[id(array)] = (array, descriptor)
        return array

    def descriptor(self, array: NDArray[Any]) -> int:
        """Return the open file of an array's memory, copying an array that was made elsewhere."""
        found = self._lent.get(id(array))
        if found is None:
            copy = self.allocate(array.shape, array.dtype)
            copy[...] = array
            found = self._lent[id(copy)]
        return found[1]

    def close(self) -> None:
        """Close the files."""
        for _, descriptor in self._lent.values():
            os.close(descriptor)
        self._lent.clear()


@contextmanager
def lending(lender: Lender | None) -> Iterator[Lender]:
    """Use the memory that inputs were read into, or some of our own to copy them to."""
    if lender is not None:
        yield lender
        return
    with closing(Lender()) as own:
        yield own


def described(volume: Volume) -> Message:
    """Say what the memory of a volume holds; its UIDs stay behind, a worker child has no use for them."""
    return {
        "shape": list(volume.voxels.shape),
        "kind": volume.voxels.dtype.str,
        "affine": volume.affine.tolist(),
        "modality": volume.modality,
        "padding": volume.padding,
    }


def borrowed(description: Message, descriptor: int) -> Volume:
    """Map a volume that was lent, and close the file.

    Returns:
        A volume whose voxels may be changed; nobody else sees that.
    """
    shape, kind = tuple(description["shape"]), np.dtype(description["kind"])
    count = int(np.prod(shape))
    try:
        memory = mmap.mmap(descriptor, max(1, count * kind.itemsize), flags=mmap.MAP_PRIVATE)
    finally:
        os.close(descriptor)
    padding = description["padding"]
    return Volume(
        np.frombuffer(memory, kind, count).reshape(shape),
        np.asarray(description["affine"], dtype=np.float64),
        description["modality"],
        padding=tuple(padding) if padding else None,
    )
