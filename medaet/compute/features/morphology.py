"""Shape and size: volume and surface, axes, diameter, boxes and ellipsoid, and how values lie in the shape.

Source:
    IBSI reference manual, Morphological features (HCUG).
"""

from math import atanh, nan, pi, sqrt

import numpy as np
import torch
from numpy.polynomial.legendre import legval
from numpy.typing import NDArray

from medaet.compute.features.hull import Hull, diameter, hull
from medaet.compute.features.mesh import Surface, surface, vertices
from medaet.compute.features.region import Region
from medaet.compute.features.spatial import MAXIMUM_CELLS, autocorrelation, cells
from medaet.compute.features.statistics import Numbers

LEGENDRE_TERMS = 20


def morphology(region: Region) -> Numbers:
    """Measure a region whose morphological mask is not empty."""
    mesh = surface(region.shape, region.spacing_mm)
    points = vertices(region.shape, region.spacing_mm)
    convex = hull(points)
    axes = _axes(region)
    return {
        "morph_volume": mesh.volume_mm3,
        "morph_vol_approx": float(region.shape.sum()) * float(np.prod(region.spacing_mm)),
        **_roundness(mesh),
        "morph_diam": convex.diameter_mm if convex else diameter(points),
        **_lengths(axes),
        **_densities(mesh, points, convex, axes),
        **_with_values(region, mesh),
    }


def _roundness(mesh: Surface) -> Numbers:
    volume, area = mesh.volume_mm3, mesh.area_mm2
    round_area = (36 * pi * volume**2) ** (1 / 3)
    return {
        "morph_area_mesh": area,
        "morph_av": area / volume,
        "morph_comp_1": volume / (sqrt(pi) * area**1.5),
        "morph_comp_2": 36 * pi * volume**2 / area**3,
        "morph_sph_dispr": area / round_area,
        "morph_sphericity": round_area / area,
        "morph_asphericity": (area**3 / (36 * pi * volume**2)) ** (1 / 3) - 1,
    }


def _axes(region: Region) -> NDArray[np.float64]:
    """Return the principal axes' lengths in mm, the longest first: four standard deviations of the voxel centres."""
    at = region.shape.nonzero().double() * torch.tensor(
        region.spacing_mm, device=region.shape.device
    )
    if len(at) < 2:
        return np.zeros(3)
    spread = torch.cov(at.T).cpu().numpy()
    return np.asarray(4 * np.sqrt(np.clip(np.linalg.eigvalsh(spread)[::-1], 0, None)))


def _lengths(axes: NDArray[np.float64]) -> Numbers:
    major, minor, least = map(float, axes)
    return {
        "morph_pca_maj_axis": major,
        "morph_pca_min_axis": minor,
        "morph_pca_least_axis": least,
        "morph_pca_elongation": minor / major if major else nan,
        "morph_pca_flatness": least / major if major else nan,
    }


def _densities(
    mesh: Surface, points: NDArray[np.float64], convex: Hull | None, axes: NDArray[np.float64]
) -> Numbers:
    """Compare volume and surface with those of bodies around the region."""
    aligned = np.ptp(points, axis=0)
    bodies = {
        "aabb": _of_box(aligned),
        "ombb": _of_box(np.array(convex.box_mm)) if convex else (nan, nan),
        "aee": (pi / 6 * float(np.prod(axes)), _ellipsoid_area(axes / 2)),
        "conv_hull": (convex.volume_mm3, convex.area_mm2) if convex else (nan, nan),
    }
    volumes = {
        f"morph_vol_dens_{name}": _ratio(mesh.volume_mm3, v) for name, (v, _) in bodies.items()
    }
    areas = {f"morph_area_dens_{name}": _ratio(mesh.area_mm2, a) for name, (_, a) in bodies.items()}
    return {**volumes, **areas}


def _ratio(one: float, two: float) -> float:
    return one / two if two > 0 else nan


def _of_box(edges: NDArray[np.float64]) -> tuple[float, float]:
    a, b, c = map(float, edges)
    return a * b * c, 2 * (a * b + b * c + a * c)


def _ellipsoid_area(axes: NDArray[np.float64]) -> float:
    """Return the surface of an ellipsoid by 20 terms of a series of Legendre polynomials."""
    a, b, c = map(float, axes)
    if not c:
        return 0.0
    alpha, beta = sqrt(1 - b**2 / a**2), sqrt(1 - c**2 / a**2)
    if not alpha:  # the polynomials' argument has no limit, but the terms have
        return _spheroid_area(a, c)
    terms = np.arange(LEGENDRE_TERMS + 1)
    factors = (alpha * beta) ** terms / (1 - 4 * terms**2)
    return float(4 * pi * a * b * legval((alpha**2 + beta**2) / (2 * alpha * beta), factors))


def _spheroid_area(a: float, c: float) -> float:
    """Return the surface of an oblate spheroid with two axes a and one axis c."""
    e = sqrt(1 - c**2 / a**2)
    if e < 1e-6:
        return 4 * pi * a**2
    return 2 * pi * a**2 * (1 + (1 - e**2) / e * atanh(e))


def _with_values(region: Region, mesh: Surface) -> Numbers:
    values = region.inside
    if not values.numel():
        return dict.fromkeys(
            ("morph_com", "morph_integ_int", "morph_moran_i", "morph_geary_c"), nan
        )
    mean = float(values.mean())
    return {
        "morph_com": _shift(region),
        "morph_integ_int": mean * mesh.volume_mm3,
        **_spatial(region, values),
    }


def _shift(region: Region) -> float:
    """Return the distance of the shape's centre from the centre of mass of its values, in mm."""
    spacing = torch.tensor(region.spacing_mm, dtype=torch.float64, device=region.mask.device)
    at, values = region.mask.nonzero().double(), region.inside
    total = values.sum()
    if not total:
        return nan
    heavy = (at * values[:, None]).sum(0) / total
    centre = region.shape.nonzero().double().mean(0)
    return float(((heavy - centre) * spacing).norm())


def _spatial(region: Region, values: torch.Tensor) -> Numbers:
    box = region.trimmed()
    if values.numel() < 2 or values.min() == values.max() or cells(box.shape.shape) > MAXIMUM_CELLS:
        return {"morph_moran_i": nan, "morph_geary_c": nan}
    found = autocorrelation(box.values, box.mask, box.spacing_mm)
    return {"morph_moran_i": found.moran, "morph_geary_c": found.geary}
