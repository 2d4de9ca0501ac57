"""Labels on a volume's own grid from slabs of logits on the network's, without ever holding logits on the former.

Linear interpolation takes averages. Where the eight neighbours of a point agree on the winning class, the average has
the same winner, whatever the other classes do; so only points whose neighbours disagree, a few in a hundred, need all
their classes interpolated. The result is exactly that of interpolating everything.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from medaet.compute.borders import Between, Borders, corners, numbered
from medaet.compute.resample import Grid
from medaet.compute.sliding import Slab
from medaet.errors import FindingsError, PluginError
from medaet.plugin.recipe import Activation

BLOCK_BYTES = 32 * 1024 * 1024
"""About how much of the logits is looked at in one go."""
NO_WEIGHT = 1e-30
CERTAIN = 30.0
"""Logit of what is certain."""
MIXED = 255
"""Marks a cell whose corners disagree; so there is room for 255 classes."""


class LabelMap:
    """Receives slabs in ascending order, and holds the labels.

    Args:
        grid: The network's grid, placed on the volume's.
        axis: Stream axis of the slabs.
        activation: "softmax": each voxel gets the class of the highest interpolated probability, and there is one
            array of labels. "sigmoid": a voxel belongs to every class of interpolated probability above one half,
            and there is one array of 0 and 1 for each.
        device: Device of the slabs.
    """

    def __init__(self, grid: Grid, axis: int, activation: Activation, device: torch.device) -> None:
        back = grid.inverse
        order = [axis, *(one for one in range(3) if one != axis)]
        self._identical = grid.identical
        self._activation = activation
        self._device = device
        self._order = order
        self._counts = [grid.axes[one].count for one in order]
        self._outer = [back.axes[one].count for one in order]
        self._planes, *self._within = (Between.on(back.axes[one], device) for one in order)
        self._borders = Borders(*self._within)
        self._labels: torch.Tensor | None = None
        self._last: torch.Tensor | None = None
        self._next = 0

    def put(self, slab: Slab) -> None:
        """Take a slab.

        Raises:
            PluginError: the network has more classes than labels can name.
            FindingsError: it gave values that are no numbers.
        """
        if self._labels is None:
            self._allocate(slab.sums.shape[0])
        if slab.start > self._next:
            self._skip_to(slab.start)
        bytes_a_plane = 4 * slab.sums[:, 0].numel()
        step = max(2, BLOCK_BYTES // bytes_a_plane)
        for first in range(0, slab.weights.shape[0], step):
            sums, weights = slab.sums[:, first : first + step], slab.weights[first : first + step]
            logits = sums.div_(weights.clamp(min=NO_WEIGHT))
            if not math.isfinite(
                float(logits.sum())
            ):  # one pass finds infinities and what is no number
                raise FindingsError("the network returned values that are not finite")
            self._be_sure(logits, weights < NO_WEIGHT)
            self._take(logits)

    def labels(self) -> torch.Tensor:
        """Finish, and return uint8 labels (slice, row, column), or (class, slice, row, column) with "sigmoid"."""
        if self._labels is None:
            self._allocate(2)
        assert self._labels is not None
        if self._next < self._counts[0]:
            self._skip_to(self._counts[0])
        back = [0] * 3
        for new, old in enumerate(self._order):
            back[old] = new
        turned = self._labels.permute(0, *(one + 1 for one in back))
        return turned if self._activation == "sigmoid" else turned[0]

    def _be_sure(self, logits: torch.Tensor, outside: torch.Tensor) -> None:
        """Make background certain, in place, where no window was needed."""
        if not bool(outside.any()):
            return
        if self._activation == "sigmoid":
            logits.masked_fill_(outside, -CERTAIN)
        else:
            logits[0].masked_fill_(outside, CERTAIN)

    def _allocate(self, classes: int) -> None:
        if classes > MIXED:
            raise PluginError(f"the network has {classes} classes, more than {MIXED}")
        maps = classes if self._activation == "sigmoid" else 1
        natural = [0] * 3
        for new, old in enumerate(self._order):
            natural[old] = self._outer[new]
        whole = torch.zeros((maps, *natural), dtype=torch.uint8, device=self._device)
        self._labels = whole.permute(0, *(one + 1 for one in self._order))
        self._classes = classes

    def _skip_to(self, plane: int) -> None:
        """Treat the planes before `plane` as background: only those next to a slab matter."""
        blank = torch.zeros((self._classes, 1, *self._counts[1:]), device=self._device)
        self._be_sure(blank, torch.ones_like(blank[0], dtype=torch.bool))
        if self._last is not None:
            self._take(blank)
        if plane > self._next and plane < self._counts[0]:
            self._next, self._last = plane, blank
        else:
            self._next = plane

    def _take(self, logits: torch.Tensor) -> None:
        """Fill in what lies between the last plane and the end of these planes."""
        first = self._next
        if self._identical:
            self._write(first, self._winners(logits))
        else:
            if self._last is not None:
                logits, first = _joined(self._last, logits), first - 1
            self._between(first, logits)
            self._last = logits[:, -1:].clone()
        self._next = first + logits.shape[1]

    def _winners(self, logits: torch.Tensor) -> torch.Tensor:
        """Return (map, plane, ...) uint8 winners of logits (class, plane, ...)."""
        if self._activation == "sigmoid":
            return (logits > 0).to(torch.uint8)
        return winners(logits)[None]

    def _write(self, first: int, labels: torch.Tensor) -> None:
        assert self._labels is not None
        self._labels[:, first : first + labels.shape[1]] = labels

    def _between(self, first: int, logits: torch.Tensor) -> None:
        low = self._planes.low
        last = first + logits.shape[1] - 1
        end = last if self._counts[0] > 1 else 1  # cells begin at every plane but the last
        begin = int(torch.searchsorted(low, first))
        stop = int(torch.searchsorted(low, end))
        if begin == stop:
            return
        cells = _cells(self._winners(logits))
        planes = low[begin:stop] - first
        points = cells
        for dim, places in ((3, self._within[1].low), (2, self._within[0].low), (1, planes)):
            points = points.index_select(dim, places)
        lies = list(zip(planes.tolist(), self._planes.share[begin:stop].tolist(), strict=True))
        for number, found in enumerate(points):
            self._resolve(number, found, logits, cells[number] == MIXED, lies)
        self._write(begin, points)

    def _resolve(
        self,
        number: int,
        points: torch.Tensor,
        logits: torch.Tensor,
        mixed: torch.Tensor,
        lies: Sequence[tuple[int, float]],
    ) -> None:
        """Interpolate where neighbours disagree, in place.

        Args:
            number: Of the map.
            points: Its labels (plane, row, column), MIXED where they are to be found.
            logits: (class, plane, ...).
            mixed: The cells between voxels whose corners disagree.
            lies: Of each plane of points, the lower plane of logits and the share of the upper one.
        """
        size = logits.shape[1:]
        needed = corners(mixed, size).reshape(-1)
        slots, table = numbered(needed), self._table(number, _picked(logits, needed))
        across, step = corners(mixed, size, dims=(1, 2)).flatten(1), size[1] * size[2]
        for found, (low, share) in zip(points.flatten(1), lies, strict=True):
            at = torch.nonzero(found == MIXED)[:, 0]
            if not len(at):
                continue
            places = torch.nonzero(across[low])[:, 0].add_(low * step)
            values = table.index_select(0, slots.index_select(0, places))
            if size[0] > 1:
                upper = slots.index_select(0, places.add_(step))
                values.lerp_(table.index_select(0, upper), share)
            for some, mean in self._borders.values(at, values, across[low]):
                won = mean[:, 0] > 0 if mean.shape[1] == 1 else mean.max(dim=1).indices
                found[some] = won.to(torch.uint8)

    def _table(self, number: int, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits (class, voxel) into what is interpolated: probabilities, or the margin where two compete."""
        if self._activation == "sigmoid":
            return (torch.sigmoid(logits[number]) - 0.5)[:, None]
        if self._classes == 2:
            return (torch.sigmoid(logits[1] - logits[0]) - 0.5)[:, None]
        if _interleaved(logits):
            return torch.softmax(logits.T, dim=1)
        return torch.softmax(logits, dim=0).T.contiguous()


def winners(logits: torch.Tensor) -> torch.Tensor:
    """Return the class of the highest of finite logits (class, ...), uint8; the first of those that are equal.

    The same as `logits.argmax(0)`, which on CPUs takes several times as long.
    """
    if logits.device.type != "cpu":
        return logits.max(dim=0).indices.to(torch.uint8)
    if _interleaved(logits):
        return torch.from_numpy(logits.movedim(0, -1).numpy().argmax(-1).astype(np.uint8))
    highest = logits[0].clone()
    labels = torch.zeros(highest.shape, dtype=torch.uint8)
    for number, one in enumerate(logits[1:], start=1):
        torch.maximum(labels, (one > highest).to(torch.uint8).mul_(number), out=labels)
        torch.maximum(highest, one, out=highest)
    return labels


def _interleaved(logits: torch.Tensor) -> bool:
    """Whether the classes of a voxel lie side by side in memory."""
    return logits.shape[0] > 1 and logits.stride(0) == 1


def _joined(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Join logits (class, plane, ...) along the planes; they lie in memory as the second do."""
    if _interleaved(second):
        return torch.cat([first.movedim(0, -1), second.movedim(0, -1)]).movedim(-1, 0)
    return torch.cat([first, second], dim=1)


def _picked(logits: torch.Tensor, needed: torch.Tensor) -> torch.Tensor:
    """Pick voxels of logits (class, plane, ...) by a mask (plane * ...,): (class, voxel), in memory as before."""
    flat = logits.reshape(logits.shape[0], -1)
    return flat.T[needed].T if _interleaved(logits) else flat[:, needed]


def _cells(winners: torch.Tensor) -> torch.Tensor:
    """Winner of each cell between eight neighbours (map, plane, ...), or MIXED."""
    least, most = winners, winners
    for dim in (1, 2, 3):
        if winners.shape[dim] > 1:
            least = torch.minimum(*_pairs(least, dim))
            most = torch.maximum(*_pairs(most, dim))
    return torch.where(least == most, least, torch.full_like(least, MIXED))


def _pairs(values: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    length = values.shape[dim] - 1
    return values.narrow(dim, 0, length), values.narrow(dim, 1, length)


def collect(slabs: Iterator[Slab], into: LabelMap) -> torch.Tensor:
    """Put every slab into a label map, and return its labels."""
    for slab in slabs:
        into.put(slab)
    return into.labels()
