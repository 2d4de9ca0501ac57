"""Voxels in anonymous memory, which agent and child both map: nothing is copied, and nothing is left behind."""

import errno
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.codes import Code
from medaet.dicom.identity import hashed
from medaet.dicom.region import Region
from medaet.dicom.volume import Volume
from medaet.worker.protocol import Message


class Lender:
    """Makes arrays in memory that can be lent to another process; a series may be read straight into them.

    Closing takes back nothing: memory lives as long as an array here or a mapping there does.
    """

    def __init__(self) -> None:
        self._lent: dict[int, tuple[NDArray[Any], int]] = {}

    def allocate(self, shape: tuple[int, ...], kind: "np.dtype[Any]") -> NDArray[Any]:
        """Make an array of zeros."""
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


def described(volume: Volume) -> Message:
    """Say what the memory of a volume holds; its UIDs stay behind, a worker child has no use for them.

    Of the frame of reference a hash goes along, by which volumes of one frame know each other.
    """
    frame = volume.frame_of_reference_uid
    return {
        "shape": list(volume.voxels.shape),
        "kind": volume.voxels.dtype.str,
        "affine": volume.affine.tolist(),
        "modality": volume.modality,
        "padding": volume.padding,
        "frame": hashed(frame) if frame else "",
        "regions": [_told(region) for region in volume.regions],
    }


def arrays(volume: Volume) -> list[NDArray[Any]]:
    """List what is to be lent for a volume: its voxels, and the masks of its regions as bits, if there are any."""
    if not volume.regions:
        return [volume.voxels]
    return [volume.voxels, np.stack([np.packbits(one.mask) for one in volume.regions])]


def borrowed(description: Message, descriptors: Iterator[int]) -> Volume:
    """Map a volume that was lent, and close the files.

    Args:
        description: What `described` said of it.
        descriptors: The files of what `arrays` listed; as many are taken as belong to the volume.

    Returns:
        A volume whose voxels may be changed; nobody else sees that.
    """
    shape = tuple(description["shape"])
    voxels = _mapped(next(descriptors), np.dtype(description["kind"]), shape)
    padding = description["padding"]
    return Volume(
        voxels,
        np.asarray(description["affine"], dtype=np.float64),
        description["modality"],
        padding=tuple(padding) if padding else None,
        frame_of_reference_uid=description["frame"],
        regions=_regions(description["regions"], descriptors, shape),
    )


def _mapped(descriptor: int, kind: "np.dtype[Any]", shape: tuple[int, ...]) -> NDArray[Any]:
    count = int(np.prod(shape, dtype=np.int64))
    try:
        memory = mmap.mmap(descriptor, max(1, count * kind.itemsize), flags=mmap.MAP_PRIVATE)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error  # the limit of this process, which counts what may be changed
        raise
    finally:
        os.close(descriptor)
    return np.frombuffer(memory, kind, count).reshape(shape)


def _told(region: Region) -> Message:
    return {
        "label": region.label,
        "code": asdict(region.code),
        "category": asdict(region.category),
        "anatomic_region": asdict(region.anatomic_region) if region.anatomic_region else None,
        "sop_instance_uid": region.sop_instance_uid,
        "number": region.number,
    }


def _regions(
    told: Sequence[Message], descriptors: Iterator[int], shape: tuple[int, ...]
) -> tuple[Region, ...]:
    if not told:
        return ()
    count = int(np.prod(shape, dtype=np.int64))
    bits = _mapped(next(descriptors), np.dtype(np.uint8), (len(told), (count + 7) // 8))
    return tuple(
        Region(
            one["label"],
            np.unpackbits(packed, count=count).reshape(shape).astype(np.bool_),
            Code(**one["code"]),
            category=Code(**one["category"]),
            anatomic_region=Code(**one["anatomic_region"]) if one["anatomic_region"] else None,
            sop_instance_uid=one["sop_instance_uid"],
            number=one["number"],
        )
        for one, packed in zip(told, bits, strict=True)
    )
