"""The surface of a mask by marching cubes, without storing a triangle.

A binary mask cut at one half has its mesh vertices in the middle of edges, so a cube of eight neighbours is one of 256
cases, each with a constant piece of surface and of enclosed volume. Counting cases is all there is to do: memory is
bounded by a slab, and time is linear in the voxels of the bounding box.

Source:
    Lorensen and Cline, Computer Graphics 21, 1987; IBSI reference manual, Morphological features, Mesh-based
    representation. Corners across the diagonal of a face are joined, everywhere alike, so that surfaces
    close.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

SLAB_VOXELS = 1 << 22
Spacing = tuple[float, float, float]

CORNERS = np.array([[n >> 2 & 1, n >> 1 & 1, n & 1] for n in range(8)], dtype=np.float64)
"""Corners of a cube along (slice, row, column); a case has bit n where corner n lies inside."""


@dataclass(frozen=True, slots=True)
class Surface:
    """The mesh of a mask, measured.

    Attributes:
        volume_mm3: Enclosed by the mesh.
        area_mm2: Of the mesh.
    """

    volume_mm3: float
    area_mm2: float


def surface(mask: torch.Tensor, spacing_mm: Spacing) -> Surface:
    """Measure the mesh of a mask.

    Args:
        mask: Boolean (slice, row, column); what lies beyond its edges is outside.
        spacing_mm: Along (slice, row, column).
    """
    counts = _cases(mask).cpu().numpy()
    areas, volumes = _pieces(spacing_mm)
    return Surface(float(counts @ volumes) * float(np.prod(spacing_mm)), float(counts @ areas))


def vertices(mask: torch.Tensor, spacing_mm: Spacing) -> NDArray[np.float64]:
    """List the mesh vertices that can lie on the convex hull: the first and the last of each line of voxels.

    Args:
        mask: Boolean (slice, row, column), not empty.
        spacing_mm: Along (slice, row, column).

    Returns:
        (point, 3) along (slice, row, column), mm from the centre of the first voxel.
    """
    ends = [_ends(mask, axis) for axis in range(3)]
    points = torch.cat([point for pair in ends for point in pair]).cpu().numpy()
    return np.asarray(points * np.asarray(spacing_mm))


def _ends(mask: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mesh vertices half a voxel before the first and behind the last voxel of each line along an axis."""
    lines = mask.any(dim=axis)
    length = mask.shape[axis]
    first = mask.to(torch.uint8).argmax(dim=axis)[lines]
    last = length - 1 - mask.flip(axis).to(torch.uint8).argmax(dim=axis)[lines]
    across = lines.nonzero().double()
    return _point(across, first.double() - 0.5, axis), _point(across, last.double() + 0.5, axis)


def _point(across: torch.Tensor, along: torch.Tensor, axis: int) -> torch.Tensor:
    parts = [across[:, 0], across[:, 1]]
    parts.insert(axis, along)
    return torch.stack(parts, dim=1)


def _cases(mask: torch.Tensor) -> torch.Tensor:
    """Count the cubes of each case; cubes reach one voxel beyond the mask."""
    counts = torch.zeros(256, dtype=torch.int64, device=mask.device)
    for slab in _slabs(mask):
        inside = torch.nn.functional.pad(slab.to(torch.int32), (1, 1, 1, 1))
        along = inside[:, :, :-1] + 2 * inside[:, :, 1:]
        plane = along[:, :-1] + 4 * along[:, 1:]
        case = plane[:-1] + 16 * plane[1:]
        counts += torch.bincount(case.flatten(), minlength=256)
    return counts


def _slabs(mask: torch.Tensor) -> Iterator[torch.Tensor]:
    """Part a mask into slabs that share a slice, with an empty slice before the first and behind the last."""
    empty = torch.zeros_like(mask[:1])
    step = max(1, SLAB_VOXELS // max(1, mask[0].numel()))
    starts = range(-1, mask.shape[0], step)
    for start, stop in pairwise([*starts, mask.shape[0]]):
        parts = [mask[max(start, 0) : stop + 1]]
        if start < 0:
            parts.insert(0, empty)
        if stop == mask.shape[0]:
            parts.append(empty)
        yield torch.cat(parts)


def _pieces(spacing_mm: Spacing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the area in mm2 and the enclosed fraction of a cube, of each of the 256 cases."""
    triangles, case, volumes = _table()
    areas = _areas(triangles * np.asarray(spacing_mm))
    return np.asarray(np.bincount(case, weights=areas, minlength=256), np.float64), volumes


def _areas(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = np.moveaxis(triangles, 1, 0)
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Make the triangles (triangle, 3, 3) of all cases in a cube of unit length, their cases, and enclosed volumes."""
    cases = [_case(number) for number in range(256)]
    triangles = np.concatenate([one for one, _ in cases])
    return (
        triangles,
        np.repeat(np.arange(256), [len(one) for one, _ in cases]),
        np.array([volume for _, volume in cases]),
    )


def _case(number: int) -> tuple[NDArray[np.float64], float]:
    inside = [bool(number >> corner & 1) for corner in range(8)]
    following: dict[frozenset[int], frozenset[int]] = {}
    volume = 0.0
    for face, is_far in _FACES:
        segments, area = _cut(face, inside)
        following.update(segments)
        volume += area / 3 if is_far else 0.0
    triangles = [triangle for loop in _loops(following) for triangle in _fan(loop)]
    array = np.array(triangles, dtype=np.float64).reshape(-1, 3, 3)
    return array, volume + float(np.linalg.det(array).sum()) / 6


def _cut(
    face: tuple[int, ...], inside: list[bool]
) -> tuple[dict[frozenset[int], frozenset[int]], float]:
    """Cut a face along the surface.

    Returns:
        From each mesh vertex on the face the one that follows it around the surface, seen from outside; and the area of
        the face that lies inside.
    """
    within = [inside[corner] for corner in face]
    count = sum(within)
    edges = [frozenset((face[k - 1], face[k])) for k in range(4)]
    entries = [edges[k] for k in range(4) if within[k] and not within[k - 1]]
    exits = [edges[k] for k in range(4) if within[k - 1] and not within[k]]
    if (
        len(entries) == 2
    ):  # two corners across the diagonal: joined, so each exit is the one before its entry
        return {edges[k]: edges[k - 1] for k in range(4) if within[k]}, 0.75
    area = {0: 0.0, 1: 0.125, 2: 0.5, 3: 0.875, 4: 1.0}[count]
    return dict(zip(entries, exits, strict=True)), area


def _loops(following: dict[frozenset[int], frozenset[int]]) -> Iterator[list[NDArray[np.float64]]]:
    left = dict(following)
    while left:
        start, vertex = left.popitem()
        loop = [start]
        while vertex != start:
            loop.append(vertex)
            vertex = left.pop(vertex)
        yield [CORNERS[sorted(edge)].mean(axis=0) for edge in loop]


def _fan(loop: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Part a loop into triangles around the vertex that makes their area greatest, as the usual tables do."""
    fans = []
    for start in range(len(loop)):
        turned = loop[start:] + loop[:start]
        fans.append([np.stack([turned[0], *pair]) for pair in pairwise(turned[1:])])
    return max(fans, key=lambda fan: round(float(_areas(np.stack(fan)).sum()), 9))


def _faces() -> Iterator[tuple[tuple[int, ...], bool]]:
    """Yield each face: its corners, counter-clockwise from outside, and whether it lies at 1 rather than at 0."""
    for axis in range(3):
        one, two = (4 >> (axis + 1) % 3), (4 >> (axis + 2) % 3)
        ring = (0, one, one | two, two)
        yield tuple(corner | 4 >> axis for corner in ring), True
        yield ring[::-1], False


_FACES = tuple(_faces())
