"""Arrays on other grids as nnU-Net computes them: splines of images before the network, streamed logits after it.

Voxel edges of the first and last voxel coincide on both grids.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from medaet_plugins.nnunet.plan import Resampling

SPARSE = 3.0
"""Slices that lie more than this many times farther apart than voxels within them are resampled apart."""


def sparse_axis(
    how: Resampling, spacing_mm: Sequence[float], wanted_mm: Sequence[float]
) -> int | None:
    """Return the axis that is treated apart, if there is one."""
    if how.separate is False:
        return None
    for one in (spacing_mm, wanted_mm):
        if how.separate or max(one) / min(one) > SPARSE:
            longest = [axis for axis, length in enumerate(one) if length == max(one)]
            return longest[0] if len(longest) == 1 else None
    return None


def resized(
    image: torch.Tensor, shape: Sequence[int], how: Resampling, sparse: int | None
) -> torch.Tensor:
    """Resample an image by splines.

    Args:
        image: (axis 0, axis 1, axis 2), float32.
        shape: Wanted voxels along each axis.
        how: Orders of the splines.
        sparse: The axis treated apart.

    Returns:
        Values never leave the range of the image; where an axis is treated apart, that of its plane.
    """
    if tuple(image.shape) == tuple(shape):
        return image
    within = [axis for axis in range(3) if axis != sparse]
    low, high = image.amin(dim=within, keepdim=True), image.amax(dim=within, keepdim=True)
    for axis in sorted(within, key=lambda axis: shape[axis] / image.shape[axis]):
        image = _along(image, axis, shape[axis], how.order)
    image = torch.minimum(torch.maximum(image, low), high)
    return image if sparse is None else _along(image, sparse, shape[sparse], how.order_z)


def _along(image: torch.Tensor, axis: int, count: int, order: int) -> torch.Tensor:
    size = image.shape[axis]
    if size == count:
        return image
    if order == 0:
        places = (torch.arange(count) + 0.5) * (size / count) - 0.5
        nearest = (places + 0.5).floor().clamp_(0, size - 1).long()
        return image.index_select(axis, nearest.to(image.device))
    operator = _operator(size, count, order).to(image.device)
    return (image.movedim(axis, -1) @ operator.T).movedim(-1, axis).contiguous()


@lru_cache(maxsize=32)
def _operator(size: int, count: int, order: int) -> torch.Tensor:
    """Weight of each voxel in each sample: (count, size); the spline of unit vectors is the operator itself."""
    weights = ndimage.zoom(
        np.eye(size), (count / size, 1), order=order, mode="nearest", grid_mode=True
    )
    return torch.from_numpy(np.asarray(weights, dtype=np.float32))


class Stream:
    """Logits that arrive plane by plane, resampled and decided slab by slab, so that they are never held whole.

    Args:
        shape: Planes, rows and columns of the grid they arrive on.
        wanted: Of the grid they go to.
        how: Linear or nearest.
        sparse: The axis treated apart.
        order: Label written by each channel; empty for the channel with the highest logit.
        slab_bytes: How much a resampled slab of one channel may take.
    """

    def __init__(
        self,
        shape: Sequence[int],
        wanted: Sequence[int],
        how: Resampling,
        sparse: int | None,
        order: Sequence[int],
        slab_bytes: int = 8 << 20,
    ) -> None:
        orders = [how.order_z if axis == sparse else how.order for axis in range(3)]
        self._orders = [0 if one == 0 else 1 for one in orders]
        self._wanted = tuple(wanted)
        self._order = tuple(order)
        self._lower, self._upper, self._share = _neighbours(shape[0], wanted[0], self._orders[0])
        self._slab = max(1, slab_bytes // (4 * wanted[1] * wanted[2]))
        self._held: torch.Tensor | None = None
        self._first = 0
        self._done = 0
        many = max(self._order, default=0) > 255
        self.labels = np.zeros(self._wanted, np.uint16 if many else np.uint8)

    def put(self, planes: torch.Tensor) -> None:
        """Take the next planes: (channel, plane, row, column)."""
        self._held = planes if self._held is None else torch.cat((self._held, planes), dim=1)
        last = self._first + self._held.shape[1] - 1
        ready = int(np.searchsorted(self._upper, last, side="right"))
        while self._done < ready:
            stop = min(self._done + self._slab, ready)
            self._decide(self._done, stop)
            self._done = stop
        needed = int(self._lower[self._done]) if self._done < len(self._lower) else last + 1
        self._held = self._held[:, needed - self._first :].clone()
        self._first = needed

    def _decide(self, start: int, stop: int) -> None:
        assert self._held is not None
        lower = torch.from_numpy(self._lower[start:stop] - self._first).to(self._held.device)
        upper = torch.from_numpy(self._upper[start:stop] - self._first).to(self._held.device)
        share = torch.from_numpy(self._share[start:stop]).to(self._held.device)[:, None, None]
        best: torch.Tensor | None = None
        found = torch.zeros((stop - start, *self._wanted[1:]), dtype=torch.int32)
        found = found.to(self._held.device)
        for channel in range(self._held.shape[0]):
            planes = self._held[channel]
            slab = planes[lower].float().lerp_(planes[upper].float(), share)
            values = self._in_plane(slab)
            if self._order:
                found[values > 0] = self._order[channel]
            elif best is None:
                best = values
            else:
                found.masked_fill_(values > best, channel)
                torch.maximum(best, values, out=best)
        self.labels[start:stop] = (
            found.to(torch.uint8 if self.labels.dtype == np.uint8 else torch.int32).cpu().numpy()
        )

    def _in_plane(self, slab: torch.Tensor) -> torch.Tensor:
        rows, columns = self._wanted[1:]
        if self._orders[1:] == [1, 1]:
            size = (rows, columns)
            return functional.interpolate(
                slab[None], size=size, mode="bilinear", align_corners=False
            )[0]
        return _along(_along(slab, 1, rows, self._orders[1]), 2, columns, self._orders[2])


def _neighbours(size: int, count: int, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each sample its lower and upper neighbour and the share of the upper; (count,) each."""
    places = ((np.arange(count) + 0.5) * (size / count) - 0.5).clip(0, size - 1)
    if order == 0:
        nearest = np.floor(places + 0.5).astype(np.int64).clip(0, size - 1)
        return nearest, nearest, np.zeros(count, np.float32)
    lower = np.floor(places).astype(np.int64).clip(0, max(size - 2, 0))
    upper = np.minimum(lower + 1, size - 1)
    return lower, upper, (places - lower).astype(np.float32)
