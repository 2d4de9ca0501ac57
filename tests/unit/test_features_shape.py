"""Shape, local and spatial features against plain computations of their definitions."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_cdt, map_coordinates
from scipy.spatial.distance import pdist, squareform

from medaet.compute.features.grid import Axis, interpolate
from medaet.compute.features.hull import hull
from medaet.compute.features.local import local_intensity
from medaet.compute.features.mesh import SLAB_VOXELS, surface, vertices
from medaet.compute.features.region import PEAK_RADIUS_MM, Region
from medaet.compute.features.spatial import autocorrelation
from medaet.compute.features.zones import distances

SPACING = (3.0, 0.8, 0.9)


def _blob(shape: tuple[int, int, int] = (9, 14, 13), seed: int = 0) -> torch.Tensor:
    noise = np.random.default_rng(seed).random(shape)
    middle = np.linalg.norm(np.indices(shape).T / np.array(shape) - 0.5, axis=-1).T
    return torch.from_numpy(noise > 1.6 * middle)


def _ball(radius_mm: float, spacing_mm: tuple[float, float, float]) -> torch.Tensor:
    counts = [2 * math.ceil(radius_mm / length) + 3 for length in spacing_mm]
    axes = [(np.arange(n) - n // 2) * length for n, length in zip(counts, spacing_mm, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return torch.from_numpy(z**2 + y**2 + x**2 <= radius_mm**2)


def test_mesh_of_one_voxel_is_an_octahedron() -> None:
    found = surface(torch.ones((1, 1, 1), dtype=torch.bool), (2, 2, 2))
    # edges of sqrt(2): volume sqrt(2)/3 a^3, surface 2 sqrt(3) a^2
    assert found.volume_mm3 == pytest.approx(4 / 3)
    assert found.area_mm2 == pytest.approx(4 * math.sqrt(3))


def test_mesh_of_a_ball_has_its_volume_and_nearly_its_surface() -> None:
    found = surface(_ball(10, (0.5, 0.5, 0.5)), (0.5, 0.5, 0.5))
    assert found.volume_mm3 == pytest.approx(4 / 3 * math.pi * 1000, rel=0.01)
    assert found.area_mm2 == pytest.approx(4 * math.pi * 100, rel=0.11)  # steps are rough


def test_mesh_is_the_same_slab_by_slab(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = _blob()
    whole = surface(mask, SPACING)
    monkeypatch.setattr("medaet.compute.features.mesh.SLAB_VOXELS", 1)
    assert surface(mask, SPACING) == whole
    assert SLAB_VOXELS > 1


def test_greatest_distance_is_exact() -> None:
    mask = _blob()
    edges = torch.nn.functional.pad(mask.int(), (1, 1, 1, 1, 1, 1))
    points = [
        np.argwhere(np.diff(edges.numpy(), axis=axis)) + np.eye(3)[axis] / 2 for axis in range(3)
    ]
    every = np.concatenate(points) * SPACING
    found = hull(vertices(mask, SPACING))
    assert found is not None
    assert found.diameter_mm == pytest.approx(pdist(every).max(), abs=1e-12)


def test_smallest_box_of_a_turned_cuboid_is_the_cuboid() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    corners = (np.indices((2, 2, 2)).reshape(3, -1).T * (4.0, 7.0, 11.0)) @ turn.T
    found = hull(corners)
    assert found is not None
    assert sorted(found.box_mm) == pytest.approx([4, 7, 11])


def test_autocorrelation_agrees_with_the_sums_over_all_pairs() -> None:
    mask = _blob()
    values = torch.from_numpy(np.random.default_rng(1).normal(size=tuple(mask.shape)))
    found = autocorrelation(values, mask, SPACING)
    x = values[mask].numpy()
    weights = squareform(1 / pdist(np.argwhere(mask.numpy()) * SPACING))
    apart = x - x.mean()
    spread = (apart**2).sum()
    moran = len(x) / weights.sum() * (weights * np.outer(apart, apart)).sum() / spread
    pairs = (weights * (x[:, None] - x) ** 2).sum()
    geary = (len(x) - 1) / (2 * weights.sum()) * pairs / spread
    assert found.moran == pytest.approx(moran, rel=1e-10)
    assert found.geary == pytest.approx(geary, rel=1e-10)


@pytest.mark.parametrize("slab", [1, 1 << 21])
def test_local_peak_is_the_mean_of_a_sphere_within_the_image(
    slab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medaet.compute.features.local.SLAB_VOXELS", slab)
    mask = _blob()
    values = np.random.default_rng(2).normal(size=tuple(mask.shape))
    places = np.argwhere(np.ones(mask.shape)) * SPACING
    means = [
        values.flatten()[np.linalg.norm(places - one, axis=1) <= PEAK_RADIUS_MM].mean()
        for one in np.argwhere(mask.numpy()) * SPACING
    ]
    infinite = (-math.inf, math.inf)
    found = local_intensity(Region(torch.from_numpy(values), mask, mask, SPACING, infinite))
    assert found["loc_peak_glob"] == pytest.approx(max(means), rel=1e-12)
    brightest = int(values[mask.numpy()].argmax())
    assert found["loc_peak_loc"] == pytest.approx(means[brightest], rel=1e-12)


def test_distances_from_the_edge_are_city_blocks() -> None:
    mask = _blob((8, 20, 20))
    (found,) = distances([mask], by_slice=False)
    padded = np.pad(mask.numpy(), 1)
    expected = distance_transform_cdt(padded, metric="taxicab")[1:-1, 1:-1, 1:-1]
    assert np.array_equal(found.numpy(), expected)
    (flat,) = distances([mask], by_slice=True)
    planes = [distance_transform_cdt(one, metric="taxicab") for one in padded]
    assert np.array_equal(flat.numpy(), np.stack(planes)[1:-1, 1:-1, 1:-1])


@pytest.mark.parametrize(("method", "order"), [("linear", 1), ("cubic", 3)])
def test_interpolation_agrees_with_scipy_on_grids_that_share_their_centre(
    method: str, order: int
) -> None:
    image = np.random.default_rng(4).normal(size=(9, 14, 13))
    axes = [
        Axis.of(count, spacing, wanted)
        for count, spacing, wanted in zip(image.shape, SPACING, (2.0, 1.1, None), strict=True)
    ]
    ranges = [(1, axis.samples - 1) for axis in axes]
    found = interpolate(torch.from_numpy(image), axes, ranges, method)
    places = [
        axis.first + axis.step * np.arange(*ends) for axis, ends in zip(axes, ranges, strict=True)
    ]
    grid = np.stack(np.meshgrid(*places, indexing="ij"))
    expected = map_coordinates(image, grid, order=order, mode="nearest")
    assert np.allclose(found.numpy(), expected, atol=1e-6)
