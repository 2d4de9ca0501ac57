"""The parts of registration, each against numbers that come from elsewhere."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medaet.compute.registration.ascent import ascend
from medaet.compute.registration.image import Image
from medaet.compute.registration.intensity import Equalisation, foreground
from medaet.compute.registration.lattice import Lattice, Warp
from medaet.compute.registration.metric import BINS, similarity
from medaet.compute.registration.motion import (
    Motions,
    angle_degrees,
    apply,
    rotations,
    scales,
    shift,
)
from medaet.compute.registration.objective import Objective
from medaet.compute.registration.side import Side
from medaet.errors import RegistrationError

pytestmark = pytest.mark.usefixtures("one_thread")

OBLIQUE = np.array(
    [[0.9, -0.2, 0.5, -30.0], [0.3, 1.1, -0.2, 12.0], [-0.1, 0.2, 2.0, 5.0], [0, 0, 0, 1.0]]
)


def _smooth(shape: tuple[int, int, int], seed: int = 0) -> torch.Tensor:
    noise = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(ndimage.gaussian_filter(noise, 2).astype(np.float32) * 100)


def _inside(image: Image, number: int) -> torch.Tensor:
    size = torch.tensor(image.voxels.shape[::-1])
    index = torch.rand(number, 3, generator=torch.Generator().manual_seed(3)) * (size - 1)
    return image.points(index)


def test_sample_agrees_with_scipy_inside_an_oblique_image() -> None:
    image = Image(_smooth((9, 12, 15)), torch.from_numpy(OBLIQUE))
    points = _inside(image, 500)
    index = np.linalg.inv(OBLIQUE) @ np.c_[points.double(), np.ones(500)].T
    wanted = ndimage.map_coordinates(image.voxels.numpy(), index[2::-1], order=1)
    assert np.abs(image.sample(points).values.numpy() - wanted).max() < 1e-3


def test_sample_returns_the_gradient_per_millimetre() -> None:
    image = Image(_smooth((9, 12, 15)), torch.from_numpy(OBLIQUE))
    points = _inside(image, 400)
    found = image.sample(points).gradients
    for axis in range(3):
        step = 1e-2 * torch.eye(3)[axis]
        after, before = (image.sample(points + way * step).values for way in (1, -1))
        away = ((after - before) / 2e-2 - found[:, axis]).abs()
        assert away.quantile(0.9) < 0.05  # the others step over a plane of voxels


def test_sample_weighs_nothing_outside_and_everything_inside() -> None:
    image = Image(_smooth((9, 12, 15)), torch.eye(4, dtype=torch.float64))
    points = torch.tensor([[5.0, 5, 5], [-0.5, 5, 5], [-1.5, 5, 5], [14.0, 11, 8], [5, 5, 99]])
    assert image.sample(points).weights.tolist() == [1.0, 0.5, 0.0, 1.0, 0.0]


def test_sample_reads_a_single_slice() -> None:
    image = Image(torch.full((1, 4, 4), 7.0), torch.eye(4, dtype=torch.float64))
    assert image.sample(torch.tensor([[1.2, 1.4, 0.0]])).values.item() == pytest.approx(7)


def test_pooled_keeps_every_voxel_where_it_is() -> None:
    image = Image(_smooth((24, 40, 40)), torch.from_numpy(OBLIQUE))
    pooled = image.pooled(4.2)
    assert tuple(pooled.voxels.shape) == (12, 10, 10)
    middle = image.affine @ torch.tensor([1.5, 1.5, 0.5, 1.0], dtype=torch.float64)
    assert torch.allclose(pooled.affine[:3, 3], middle[:3])
    assert pooled.voxels[0, 0, 0] == pytest.approx(float(image.voxels[:2, :4, :4].mean()), abs=1e-3)


def test_similarity_is_two_for_equal_images_and_one_for_unrelated_ones() -> None:
    values = torch.rand(1, 200_000, generator=torch.Generator().manual_seed(1))
    bins = (values * BINS).long()
    weights = torch.ones_like(values)
    same = similarity(bins, values, weights).score.item()
    other = similarity(bins.flip(1), values, weights).score.item()
    assert 1.5 < same < 2  # the window blurs
    assert 1 <= other < 1.01


def test_similarity_returns_its_derivative() -> None:
    generator = torch.Generator().manual_seed(2)
    values = torch.rand(2, 60, generator=generator)
    bins = (torch.rand(1, 60, generator=generator) * 5).long()
    weights = torch.rand(2, 60, generator=generator)
    slopes = similarity(bins, values, weights).slopes
    for sample in range(0, 60, 7):
        step = torch.zeros(2, 60)
        step[:, sample] = 2e-3
        after, before = (similarity(bins, values + way * step, weights).score for way in (1, -1))
        assert torch.allclose((after - before) / 4e-3, slopes[:, sample], atol=3e-3)


def test_equalisation_rises_and_knows_its_slope() -> None:
    values = torch.linspace(-1000, 3000, 40_000) ** 3 / 1e6
    equalise = Equalisation(values)
    mapped, slope = equalise(values)
    assert (mapped.diff() >= 0).all()
    assert 0 <= float(mapped.min()) <= float(mapped.max()) <= 1
    step = 0.01
    after, before = equalise(values + step)[0], equalise(values - step)[0]
    assert (((after - before) / (2 * step)) - slope).abs().quantile(0.95) < 1e-3


def test_flat_images_are_refused() -> None:
    with pytest.raises(RegistrationError, match="flat"):
        Equalisation(torch.zeros(100))
    with pytest.raises(RegistrationError, match="flat"):
        foreground(torch.full((5, 5, 5), 3.0))


def test_images_that_show_next_to_nothing_are_refused() -> None:
    voxels = torch.zeros(40, 40, 40)
    voxels[:, :, :4] = torch.rand(40, 40, 4)
    voxels[0, 0, 0] = 9
    with pytest.raises(RegistrationError, match="too little"):
        Side(Image(voxels, torch.eye(4, dtype=torch.float64)))


def test_rotations_agree_with_scipy() -> None:
    vectors = np.random.default_rng(4).normal(size=(6, 3))
    found = rotations(vectors.tolist())[:, :3, :3].numpy()
    assert np.abs(found - Rotation.from_rotvec(vectors).as_matrix()).max() < 1e-6


def test_a_rotation_parameter_moves_a_point_at_the_radius_by_its_millimetres() -> None:
    centre = torch.tensor([10.0, 20.0, 30.0], dtype=torch.float64)
    motions = Motions.of("rigid", centre, 80.0)
    matrix = motions.exponential(torch.tensor([[0, 0, 0, 0, 0, 0.5]]))[0]
    point = centre + torch.tensor([80.0, 0, 0])
    assert float((apply(matrix, point[None])[0] - point).norm()) == pytest.approx(0.5, rel=1e-4)
    assert torch.allclose(apply(matrix, centre[None])[0], centre)


def test_figures_of_a_matrix() -> None:
    turn = torch.from_numpy(np.eye(4))
    turn[:3, :3] = torch.from_numpy(Rotation.from_rotvec([0, 0, 0.5]).as_matrix())
    stretched = turn @ torch.diag(torch.tensor([1.1, 0.9, 1.0, 1.0], dtype=torch.float64))
    assert angle_degrees(stretched) == pytest.approx(np.degrees(0.5), abs=1)
    assert scales(stretched) == pytest.approx((0.9, 1.1))
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0], dtype=torch.float64))
    assert scales(mirror)[0] < 0


def _objective(kind: str = "affine") -> Objective:
    head = Side(
        Image(_smooth((30, 36, 40)) + 50, torch.diag(torch.tensor([3.0, 3, 3, 1])).double())
    )
    other = Side(
        Image(head.image.voxels.square(), torch.diag(torch.tensor([3.0, 3, 3, 1])).double())
    )
    motions = Motions.of("affine" if kind == "affine" else "rigid", head.centre, head.radius_mm)
    points = head.points(20_000, torch.Generator().manual_seed(5))[None]
    return Objective.between(head, other, motions, points, 3.0)


def test_objective_returns_its_gradient() -> None:
    objective = _objective()
    start = shift(torch.tensor([3.0, -2.0, 2.0], dtype=torch.float64))[None]
    found = objective(start).gradient[0]
    steps = 0.1 * torch.eye(12)
    after, before = (
        objective(start @ objective.motions.exponential(way * steps)).score for way in (1, -1)
    )
    assert torch.allclose((after - before) / 0.2, found, atol=0.15 * float(found.abs().max()))


def test_ascent_finds_the_top_from_several_starts() -> None:
    objective = _objective("rigid")
    offsets = ([4.0, 0, 0], [0, -4.0, 2], [2, 2, 3.0])
    start = torch.stack([shift(torch.tensor(one, dtype=torch.float64)) for one in offsets])
    end = ascend(objective, start, steps=25, first_mm=2.0, last_mm=0.02)
    corner = torch.tensor([[0.0, 0, 0], [110, 100, 80]], dtype=torch.float64)
    assert (apply(end.matrices, corner) - corner).norm(dim=-1).max() < 0.5
    assert (end.found.score > objective(start).score).all()


def test_finer_lattices_hold_the_same_deformation() -> None:
    box = torch.tensor([[0.0, 0, 0], [60, 50, 40]], dtype=torch.float64)
    lattice = Lattice.over(box, 20.0, torch.device("cpu"))
    lattice.nodes = torch.randn(lattice.nodes.shape, generator=torch.Generator().manual_seed(6))
    fine = lattice.finer().warp()
    shape = fine.field.shape[:0:-1]
    index = torch.cartesian_prod(*[torch.arange(2, length - 2) for length in shape]).double()
    points = index @ fine.affine[:3, :3].T + fine.affine[:3, 3]
    coarse = lattice.warp()
    away = (coarse(points) - fine(points)).norm(dim=1)
    on_both = ((points - coarse.affine[:3, 3]) % 10 == 0).all(1)
    assert on_both.sum() > 20
    assert away[on_both].max() < 1e-4


def test_jacobian_of_a_uniform_stretch_is_its_change_of_volume() -> None:
    index = np.indices((5, 6, 7)).astype(np.float32)[::-1]
    warp = Warp(torch.from_numpy(0.2 * index.copy()), torch.eye(4, dtype=torch.float64))
    assert warp.least_jacobian() == pytest.approx(1.2**3, rel=1e-5)
    folded = Warp(torch.from_numpy(-1.5 * index.copy()), torch.eye(4, dtype=torch.float64))
    assert folded.least_jacobian() < 0


def test_a_warp_survives_the_way_through_findings() -> None:
    field = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(7))
    affine = torch.diag(torch.tensor([4.0, 4, 4, 1], dtype=torch.float64))
    warp = Warp(field, affine)
    again = Warp.of(warp.deformation(), "cpu")
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(8)) * 12
    assert torch.allclose(warp(points), again(points))
