"""The convex hull of a region's mesh: its volume, its diameter, and the smallest box around it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

BLOCK = 1 << 22
ANGLES = 64
REFINED = 8

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hull:
    """Measures of a convex hull.

    Attributes:
        volume_mm3: Enclosed.
        area_mm2: Of its surface.
        diameter_mm: Greatest distance of two mesh vertices, exactly.
        box_mm: Edges of the smallest box found around it, of those with a side flush with a face of the hull.
    """

    volume_mm3: float
    area_mm2: float
    diameter_mm: float
    box_mm: tuple[float, float, float]


def hull(points: Points) -> Hull | None:
    """Measure the hull of points in space.

    Args:
        points: (point, 3), in mm.

    Returns:
        None when the points lie in a plane.

    Source:
        Barber et al., ACM TOMS 22, 1996 (Qhull). O'Rourke, 1985, for boxes: the smallest has a flush face or two flush
        edges; only boxes with a flush face are looked at.
    """
    try:
        convex = ConvexHull(points)
    except QhullError:
        return None
    corners = points[convex.vertices]
    return Hull(
        volume_mm3=float(convex.volume),
        area_mm2=float(convex.area),
        diameter_mm=diameter(corners),
        box_mm=_box(corners, convex.equations[:, :3], points[convex.simplices]),
    )


def diameter(points: Points) -> float:
    """Return the greatest distance of two points, in blocks of bounded memory."""
    step = max(1, BLOCK // len(points))
    if step >= len(points):
        return float(pdist(points).max())
    square = (points**2).sum(axis=1)
    greatest = 0.0
    for start in range(0, len(points), step):
        some = points[start : start + step]
        apart = square[start : start + step, None] + square[None] - 2 * (some @ points.T)
        greatest = max(greatest, float(apart.max()))
    return float(greatest**0.5)


def _box(corners: Points, normals: Points, faces: Points) -> tuple[float, float, float]:
    """Find the smallest box: a look at each face from 64 angles, then the best faces exactly."""
    normals = np.unique(np.round(normals, 6), axis=0)
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    first, second = _planes(normals)
    turns = np.arange(2 * ANGLES) * (np.pi / 2 / ANGLES)
    directions = np.cos(turns)[:, None] * first[:, None] + np.sin(turns)[:, None] * second[:, None]
    widths = _extents(corners, directions.reshape(-1, 3)).reshape(len(normals), 2, ANGLES)
    volumes = _extents(corners, normals) * widths.prod(axis=1).min(axis=1)
    edges = np.concatenate([faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 1]])
    boxes = [
        _smallest(corners, normals[n], np.concatenate([directions[n], _within(edges, normals[n])]))
        for n in volumes.argsort()[:REFINED]
    ]
    return min(boxes, key=lambda box: box[0] * box[1] * box[2])


def _planes(normals: Points) -> tuple[Points, Points]:
    """Return two unit vectors that span the plane of each normal."""
    helpers = np.eye(3)[np.abs(normals).argmin(axis=1)]
    first = np.cross(normals, helpers)
    first /= np.linalg.norm(first, axis=1)[:, None]
    return first, np.cross(normals, first)


def _extents(corners: Points, directions: Points) -> Points:
    """Return how far the corners reach along each direction, in blocks of bounded memory."""
    step = max(1, BLOCK // len(corners))
    return np.concatenate(
        [
            np.ptp(directions[start : start + step] @ corners.T, axis=1)
            for start in range(0, len(directions), step)
        ]
    )


def _within(edges: Points, normal: Points) -> Points:
    """Project edges into the plane of a normal, as unit vectors."""
    flat = edges - (edges @ normal)[:, None] * normal
    lengths = np.linalg.norm(flat, axis=1)
    kept = flat[lengths > 1e-9] / lengths[lengths > 1e-9, None]
    return np.asarray(np.unique(np.round(kept, 9), axis=0))


def _smallest(corners: Points, normal: Points, directions: Points) -> tuple[float, float, float]:
    """Return the edges of the smallest box with one side along the normal and one along one of the directions."""
    widths = _extents(corners, directions)
    depths = _extents(corners, np.cross(normal, directions))
    least = int((widths * depths).argmin())
    return float(np.ptp(corners @ normal)), float(widths[least]), float(depths[least])
