"""From a series to what an nnU-Net sees: crop to the non-zero box, scale, resample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from medaet_plugins.nnunet.grids import resized, sparse_axis
from medaet_plugins.nnunet.plan import Normalisation, Plan

EPSILON = 1e-8

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An input as the network takes it, and the way back.

    Attributes:
        image: (channel, *grid), float32, on the network's axes.
        shape: Of the whole input on the network's axes, before cropping.
        box: Where the cropped part lies in it.
        spacing_mm: Of the input, along the network's axes.
        wanted_mm: Of `image`.
    """

    image: torch.Tensor
    shape: tuple[int, int, int]
    box: Box
    spacing_mm: tuple[float, ...]
    wanted_mm: tuple[float, ...]


def prepare(
    volumes: Sequence[NDArray[np.generic]],
    spacing_mm: Sequence[float],
    plan: Plan,
    device: torch.device,
) -> Prepared:
    """Prepare an input.

    Args:
        volumes: One array (slice, row, column) for each channel, all on one grid.
        spacing_mm: Along (slice, row, column).
        plan: Of the model.
        device: Where the image goes.
    """
    turned = [np.transpose(one, plan.transpose) for one in volumes]
    spacing = tuple(spacing_mm[axis] for axis in plan.transpose)
    wanted = plan.spacing_mm if len(plan.spacing_mm) == 3 else (spacing[0], *plan.spacing_mm)
    box = _nonzero_box(turned)
    shape = tuple(
        round(have / want * (part.stop - part.start))
        for have, want, part in zip(spacing, wanted, box, strict=True)
    )
    inside = _inside([one[box] for one in turned]) if _is_masked(plan) else None
    sparse = sparse_axis(plan.data, spacing, wanted)
    channels = []
    for one, how in zip(turned, plan.normalisations, strict=True):
        image = torch.from_numpy(np.array(one[box], dtype=np.float32, order="C")).to(device)
        scaled = normalise(image, how, inside.to(device) if inside is not None else None)
        channels.append(resized(scaled, shape, plan.data, sparse))
    whole = turned[0].shape
    return Prepared(
        image=torch.stack(channels),
        shape=(whole[0], whole[1], whole[2]),
        box=box,
        spacing_mm=spacing,
        wanted_mm=wanted,
    )


def normalise(image: torch.Tensor, how: Normalisation, inside: torch.Tensor | None) -> torch.Tensor:
    """Scale one channel in place.

    Args:
        image: float32.
        how: The scheme and the figures of its training set.
        inside: Boolean, the non-zero region with its holes; None when the scheme takes all voxels.
    """
    if how.scheme == "CTNormalization":
        values = how.properties
        image.clamp_(values["percentile_00_5"], values["percentile_99_5"])
        return image.sub_(values["mean"]).div_(max(values["std"], EPSILON))
    if how.scheme == "ZScoreNormalization":
        chosen = image[inside] if how.masked and inside is not None else image
        mean = float(chosen.mean(dtype=torch.float64))
        deviation = max(float(chosen.double().var(correction=0).sqrt()), EPSILON)
        if how.masked and inside is not None:
            image[inside] = (chosen - mean) / deviation
            return image
        return image.sub_(mean).div_(deviation)
    if how.scheme == "RescaleTo01Normalization":
        image.sub_(image.min())
        return image.div_(max(float(image.max()), EPSILON))
    return image.div_(255) if how.scheme == "RGBTo01Normalization" else image


def _is_masked(plan: Plan) -> bool:
    return any(one.masked for one in plan.normalisations)


def _nonzero_box(images: Sequence[NDArray[np.generic]]) -> Box:
    """Return the smallest box around everything that is not zero in some channel; all when there is nothing."""
    whole = images[0].shape
    found: list[slice] = []
    for axis in range(3):
        others = tuple(one for one in range(3) if one != axis)
        hit = np.zeros(whole[axis], np.bool_)
        for image in images:
            hit |= np.any(image, axis=others)
        places = np.flatnonzero(hit)
        found.append(
            slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, whole[axis])
        )
    return found[0], found[1], found[2]


def _inside(images: Sequence[NDArray[np.generic]]) -> torch.Tensor:
    mask = np.logical_or.reduce([image != 0 for image in images])
    return torch.from_numpy(np.asarray(ndimage.binary_fill_holes(mask)))
