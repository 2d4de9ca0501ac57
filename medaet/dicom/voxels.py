"""The voxels of a stack: pixels read into place, on several cores where no decoder stands between file and memory."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.decode import CODESTREAMS, Stored
from medaet.dicom.decoders import Decoders
from medaet.dicom.image import Image
from medaet.dicom.modality_lut import put_real, put_whole
from medaet.dicom.pixels import DIRECT, PixelReader
from medaet.dicom.stack import Stack

Voxels = NDArray[np.int16] | NDArray[np.float32]

Allocate = Callable[[tuple[int, int, int], "np.dtype[Any]"], NDArray[Any]]
"""Makes the array that the voxels are read into: (slice, row, column), C order."""

MOST_LANES = 4
"""Threads that read side by side: memory is busy before there are more."""

LANE_BYTES = 8 * 1024 * 1024
"""A thread is worth starting for so much."""


def read_voxels(stack: Stack, decoders: Decoders | None, allocate: Allocate) -> Voxels:
    """Read the voxels of a stack; see `medaet.dicom.volume.read_volume`."""
    pixels = stack.images[0].pixels
    shape = (stack.grid.slices, pixels.rows, pixels.columns)
    whole = allocate(shape, np.dtype(np.int16))
    if _put_whole(stack, decoders, whole):
        return _interpolated(whole, stack)
    del whole
    real = allocate(shape, np.dtype(np.float32))
    with _Source(stack, decoders) as source:
        for image, place, stored in source.planes(range(len(stack.images)), None):
            put_real(stored, image, real[place])
    return _interpolated(real, stack)


def _put_whole(stack: Stack, decoders: Decoders | None, whole: NDArray[np.int16]) -> bool:
    """Read all images as whole numbers; return whether every value is one, and fits."""

    def put(lane: range) -> bool:
        with _Source(stack, decoders) as source:
            return all(
                put_whole(stored, image, whole[place])
                for image, place, stored in source.planes(lane, whole)
            )

    first, *others = _lanes(stack, whole.nbytes)
    if not others:
        return put(first)
    with ThreadPoolExecutor(len(others), "lane") as threads:
        beside = [threads.submit(put, lane) for lane in others]
        return put(first) & all(one.result() for one in beside)


def _lanes(stack: Stack, size_bytes: int) -> list[range]:
    """Part the images among threads: the kernel copies, and numpy adds, without the interpreter's lock."""
    count, cores = len(stack.images), len(os.sched_getaffinity(0))
    lanes = min(cores, MOST_LANES, size_bytes // LANE_BYTES, count)
    is_direct = all(image.transfer_syntax_uid in DIRECT for image in stack.images)
    if lanes < 2 or not is_direct or len(set(stack.slices)) < count:
        return [range(count)]
    ends = [count * number // lanes for number in range(lanes + 1)]
    return [range(start, end) for start, end in pairwise(ends)]


class _Source(PixelReader):
    """The pixels of a stack, one image after the other."""

    def __init__(self, stack: Stack, decoders: Decoders | None) -> None:
        super().__init__()
        self._stack = stack
        # Run lengths are undone faster than handed from process to process.
        is_slow = any(image.transfer_syntax_uid in CODESTREAMS for image in stack.images)
        self._decoders = decoders if is_slow else None

    def planes(
        self, numbers: range, into: NDArray[np.int16] | None
    ) -> Iterator[tuple[Image, int, Stored]]:
        """Yield images, their slices and stored values, maybe in place already; all images where processes decode."""
        images, slices = self._stack.images, self._stack.slices
        if self._decoders is not None:
            for index, stored in self._decoders.stored(images):
                yield images[index], slices[index], stored
            return
        for number in numbers:
            image, place = images[number], slices[number]
            plane = None if into is None else into[place]
            yield image, place, self.stored(image) if plane is None else self.into(image, plane)


def _interpolated(voxels: Voxels, stack: Stack) -> Voxels:
    """Fill the slices that no image lies on from those before and behind them."""
    places = np.asarray(stack.grid.places)
    exact = {place: k for k, place in enumerate(stack.slices) if stack.lies_on_slice(k)}
    known = {k: voxels[place].copy() for k, place in enumerate(stack.slices) if place not in exact}
    for number in range(stack.grid.slices):
        if number in exact:
            continue
        behind = int(np.searchsorted(places, number).clip(1, places.size - 1))
        before = behind - 1
        share = (number - places[before]) / (places[behind] - places[before])
        pair = [known[k] if k in known else voxels[stack.slices[k]] for k in (before, behind)]
        mixed = pair[0] * (1 - share) + pair[1] * share
        voxels[number] = np.rint(mixed) if voxels.dtype == np.int16 else mixed
    return voxels
