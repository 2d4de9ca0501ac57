"""Segmentation of one volume, from its voxels to its labels, on one device."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from medaet.compute.body import Box, body, box
from medaet.compute.labels import LabelMap, collect
from medaet.compute.orient import Orientation
from medaet.compute.resample import Grid, resample
from medaet.compute.sliding import Network, Slab, Sliding, mirrored
from medaet.compute.windows import Occupied, Shape, Windows, padding
from medaet.dicom.volume import Volume
from medaet.errors import PluginError
from medaet.plugin.recipe import Recipe

PLANES = 8
"""Of a box that are put into the whole grid in one go."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A volume as a network wants it.

    Attributes:
        image: (channel, *box of the network's grid), float32, mapped intensities.
        inside: Where the patient is in that box; None when every window counts.
        grid: The network's grid on the turned volume's.
        orientation: How the volume was turned.
        box: What the image holds of the grid; None for all of it.
    """

    image: torch.Tensor
    inside: torch.Tensor | None
    grid: Grid
    orientation: Orientation
    box: Box | None = None


def uploaded(volumes: Sequence[Volume], device: torch.device) -> torch.Tensor:
    """Copy voxels to a device in the type they have, (channel, slice, row, column).

    Raises:
        PluginError: the volumes lie on several grids.
    """
    shapes = {one.voxels.shape for one in volumes}
    if len(shapes) != 1 or any(
        not np.allclose(one.affine, volumes[0].affine, atol=1e-3) for one in volumes
    ):
        raise PluginError("the channels of one network input must lie on the same grid")
    each = [torch.from_numpy(np.asarray(one.voxels)) for one in volumes]
    whole = each[0][None] if len(each) == 1 else torch.stack(each)
    if device.type == "cuda":  # from page-locked memory the copy runs beside other work
        return whole.pin_memory().to(device, non_blocking=True)
    return whole.to(device)


def prepare(
    voxels: torch.Tensor,
    spacing_mm: Sequence[float],
    orientation: Orientation,
    recipe: Recipe,
    modality: str,
) -> Prepared:
    """Clip, turn, resample and map a volume.

    Args:
        voxels: (channel, slice, row, column) of any number type, on the device.
        spacing_mm: Spacing along (slice, row, column).
        orientation: From the volume's axes to the network's.
        recipe: What the network was trained on.
        modality: "CT" or "MR".
    """
    if recipe.clip is not None:
        voxels = voxels.clamp(*recipe.clip)
    shape, spacing = orientation.along(voxels.shape[1:]), orientation.along(spacing_mm)
    grid = Grid.of_spacing(shape, spacing, recipe.spacing_mm, alignment=recipe.alignment)
    # Resampling comes first, in the order in which voxels lie in memory; then there is less to turn.
    small = resample(
        voxels,
        orientation.undone(grid),
        mode=recipe.interpolation,
        antialias=recipe.antialias,
    )
    image = orientation.apply(small).float().contiguous()
    inside = body(image[0], modality) if recipe.skip_background or recipe.crop else None
    found = box(inside) if recipe.crop and inside is not None else None
    if found is not None and inside is not None:
        image, inside = image[(slice(None), *found)].contiguous(), inside[found]
    mapped = recipe.intensity(image)
    return Prepared(mapped, inside if recipe.skip_background else None, grid, orientation, found)


def segment(
    prepared: Prepared,
    network: Network,
    recipe: Recipe,
    *,
    batch: int = 1,
    home: torch.device | None = None,
    on_windows: Callable[[int, int, int], None] = lambda _done, _needed, _all: None,
) -> torch.Tensor:
    """Run a network over a prepared volume in sliding windows.

    Args:
        prepared: The volume.
        network: Maps windows to logits.
        recipe: What the network was trained on.
        batch: Most windows in one call of the network.
        home: Where logits are added up; the image's device by default.
        on_windows: Called before each call of the network with the numbers of windows done, needed, and there are.

    Returns:
        uint8 on the volume's own grid and axes: labels (slice, row, column), or with sigmoid activation 0 and 1 for
        each channel, (channel, slice, row, column).
    """
    home = home or prepared.image.device
    pads = padding(prepared.image.shape[1:], recipe.window)
    image = _padded(prepared.image, pads)
    windows = Windows.over(image.shape[1:], recipe.window, recipe.overlap)
    axis = windows.stream_axis
    inside = prepared.inside
    sliding = Sliding(
        windows=windows,
        axis=axis,
        batch=batch,
        home=home,
        occupied=None if inside is None else Occupied(_padded(inside, pads)),
        on_windows=on_windows,
    )
    run = mirrored(network, recipe.mirror) if recipe.mirror else network
    label_map = LabelMap(prepared.grid, axis, recipe.activation, home)
    slabs = _cropped(sliding.slabs(image, run), pads, prepared.image.shape[1:], axis)
    if prepared.box is not None:
        slabs = _placed(slabs, prepared.box, prepared.grid.shape, axis)
    return prepared.orientation.undo(collect(slabs, label_map))


def _padded(image: torch.Tensor, pads: Sequence[tuple[int, int]]) -> torch.Tensor:
    if not any(map(any, pads)):
        return image
    return functional.pad(image, [one for pair in reversed(pads) for one in pair])


def _cropped(
    slabs: Iterator[Slab], pads: Sequence[tuple[int, int]], shape: Sequence[int], axis: int
) -> Iterator[Slab]:
    """Cut off what was padded."""
    others = [slice(pads[one][0], pads[one][0] + shape[one]) for one in range(3) if one != axis]
    for slab in slabs:
        first = max(0, pads[axis][0] - slab.start)
        last = min(slab.weights.shape[0], pads[axis][0] + shape[axis] - slab.start)
        if first < last:
            yield Slab(
                slab.start + first - pads[axis][0],
                slab.sums[:, first:last, others[0], others[1]],
                slab.weights[first:last, others[0], others[1]],
            )


def _placed(slabs: Iterator[Slab], within: Box, shape: Shape, axis: int) -> Iterator[Slab]:
    """Put planes of a box where they lie in the whole grid, a few at a time."""
    margins: list[int] = []
    for one in reversed([one for one in range(3) if one != axis]):
        margins += [within[one].start, shape[one] - within[one].stop]
    for slab in slabs:
        # padded as the sums lie in memory, whichever way that is
        classes_last = slab.sums.stride(0) == 1
        for first in range(0, slab.weights.shape[0], PLANES):
            some = slice(first, first + PLANES)
            sums = slab.sums[:, some]
            yield Slab(
                slab.start + first + within[axis].start,
                functional.pad(sums.movedim(0, -1), [0, 0, *margins]).movedim(-1, 0)
                if classes_last
                else functional.pad(sums, margins),
                functional.pad(slab.weights[some], margins),
            )
