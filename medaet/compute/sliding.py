"""Sliding-window inference: windows in, finished slabs of blended logits out, a few planes at a time.

Windows are taken row by row along one axis. As soon as no later window can touch a plane, it is handed on and its
memory is used again, so that the logits of a whole volume never exist at once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from medaet.compute.windows import Occupied, Shape, Windows, gaussian
from medaet.errors import PluginError

MANY_CLASSES = 16
"""From here on it pays to leave the classes of a voxel side by side in memory, where a network gives them so."""


class Network(Protocol):
    """Maps windows (batch, channel, *window) to logits (batch, class, *window)."""

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Run the network; its logits are valid until it is run again."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """Planes of which every window has been seen; the receiver's to change, valid until the next slab is asked for.

    Attributes:
        start: Number of the first plane along the stream axis.
        sums: Logits times weights, summed over windows: (class, plane, ...), the stream axis first, the other two in
            the array's order. In memory the classes of a voxel lie side by side where the network gave many so.
        weights: What to divide by: (plane, ...); 0 where no window was needed.
    """

    start: int
    sums: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True, slots=True)
class Sliding:
    """How one array is gone through.

    Attributes:
        windows: Where they lie; their array has the shape of the image.
        axis: Stream axis.
        batch: Most windows in one call of the network.
        home: Device of the sums; the network's own, or the host's where that is too small.
        occupied: Says which windows are needed; None for all.
        on_windows: Called before each call of the network with the numbers of windows done, needed, and there are.
    """

    windows: Windows
    axis: int
    batch: int
    home: torch.device
    occupied: Occupied | None = None
    on_windows: Callable[[int, int, int], None] = lambda _done, _needed, _all: None

    def slabs(self, image: torch.Tensor, network: Network) -> Iterator[Slab]:
        """Run the network over every needed window.

        Args:
            image: (channel, slice, row, column) on the network's device, of the shape of the windows' array.
            network: Maps windows to logits.

        Yields:
            Slabs in ascending order; planes between them were in no needed window.

        Raises:
            PluginError: the network's output does not lie on the grid of its input.
        """
        needed = self._needed()
        sums: _Sums | None = None
        for first in range(0, len(needed), self.batch):
            some = needed[first : first + self.batch]
            self.on_windows(first, len(needed), len(self.windows))
            logits = self._checked(network(_stacked(image, some, self.windows.size)), some)
            sums = sums or _Sums(self, logits, some[0][self.axis])
            for one, corner in zip(sums.brought(logits), some, strict=True):
                yield from sums.finish_until(corner[self.axis])
                sums.add(one, corner)
        if sums is not None:
            yield from sums.finish_until(None)

    def _needed(self) -> list[Shape]:
        """List the corners of windows row by row; a batch may hold the end of one row and the beginning of the next."""
        size = self.windows.size
        return [
            one
            for _, row in self.windows.rows(self.axis)
            for one in row
            if self.occupied is None or self.occupied(one, size)
        ]

    def _checked(self, logits: torch.Tensor, corners: Sequence[Shape]) -> torch.Tensor:
        size = self.windows.size
        if logits.ndim != 5 or (len(logits), *logits.shape[2:]) != (len(corners), *size):
            raise PluginError(
                f"the network turned windows of {size} voxels into an output of shape "
                f"{tuple(logits.shape)}, expected ({len(corners)}, classes, *{size})"
            )
        return logits


class _Sums:
    """Sums over windows, for as many planes as one window has."""

    def __init__(self, how: Sliding, logits: torch.Tensor, start: int) -> None:
        windows = how.windows
        self._how = how
        self._start = start
        self._depth = windows.size[how.axis]
        shape = [*windows.shape]
        shape[how.axis] = self._depth
        classes = logits.shape[1]
        self._interleaved = classes >= MANY_CLASSES and logits.stride(1) == 1
        if self._interleaved:
            self._sums = torch.zeros((*shape, classes), device=how.home).movedim(-1, 0)
        else:
            self._sums = torch.zeros((classes, *shape), device=how.home)
        self._weights = torch.zeros(shape, device=how.home)
        self._importance = gaussian(windows.size, how.home)

    def brought(self, logits: torch.Tensor) -> torch.Tensor:
        """Bring logits home, as the sums lie in memory: adding in another order takes ten times as long as copying."""
        logits = logits.to(self._how.home)
        return logits if self._interleaved else logits.contiguous()

    def add(self, logits: torch.Tensor, corner: Shape) -> None:
        """Add the logits of one window (class, *window)."""
        at = list(corner)
        at[self._how.axis] -= self._start
        inside = tuple(
            slice(begin, begin + length)
            for begin, length in zip(at, self._how.windows.size, strict=True)
        )
        self._sums[(slice(None), *inside)].addcmul_(logits, self._importance)
        self._weights[inside] += self._importance

    def finish_until(self, start: int | None) -> Iterator[Slab]:
        """Hand on the planes before `start`, all when None, and make room behind the others."""
        depth, axis = self._depth, self._how.axis
        ready = depth if start is None else min(start - self._start, depth)
        if ready <= 0:
            return
        sums, weights = self._sums.movedim(axis + 1, 1), self._weights.movedim(axis, 0)
        if bool(weights[:ready].any()):
            yield Slab(self._start, sums[:, :ready], weights[:ready])
        if start is None:
            return
        kept = depth - ready
        for one, dim in ((sums, 1), (weights, 0)):
            head, tail = one.narrow(dim, 0, kept), one.narrow(dim, ready, kept)
            head.copy_(tail.clone() if kept > ready else tail)  # they may overlap
            one.narrow(dim, kept, ready).zero_()
        self._start = start


def _stacked(image: torch.Tensor, corners: Sequence[Shape], size: Shape) -> torch.Tensor:
    views = [
        image[(slice(None), *(slice(c, c + k) for c, k in zip(corner, size, strict=True)))]
        for corner in corners
    ]
    return torch.stack(views)


def mirrored(network: Network, axes: Sequence[int]) -> Network:
    """Average a network's logits over all flips of its input along some axes (test-time mirroring)."""
    flips: list[list[int]] = [[]]
    for axis in axes:
        flips += [[*flip, axis + 2] for flip in flips]

    def average(windows: torch.Tensor) -> torch.Tensor:
        total = network(windows).clone()
        for flip in flips[1:]:
            total += network(windows.flip(flip)).flip(flip)
        return total.div_(len(flips))

    return average
