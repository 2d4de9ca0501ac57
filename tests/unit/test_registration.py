"""Registration against motions that are known exactly, and the gate against images that do not belong together."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from medaet.compute.registration.lattice import Warp
from medaet.compute.registration.register import register
from medaet.dicom.volume import Volume, read_volume
from medaet.errors import RegistrationError
from medaet.plugin.registration import Model
from tests.heads import Head, View, motion, moved

pytestmark = pytest.mark.usefixtures("one_thread")

CT = View("CT", (1.5, 0.9, 0.9), ((0.12, 0.0), (0.0, 0.05), (0.05, 0.0)), noise=0.15)


@pytest.fixture(scope="module")
def head(scans: Path) -> Head:
    return Head(scans / "head_mr_t1_1mm")


@pytest.fixture(scope="module")
def t1(head: Head) -> Volume:
    return head.seen(View(), seed=1)


@pytest.fixture(scope="module")
def ct(head: Head) -> Volume:
    return head.seen(CT, seed=2)


@pytest.mark.parametrize("start", range(4))
def test_register_finds_a_rigid_motion_between_modalities(
    head: Head, t1: Volume, ct: Volume, start: int
) -> None:
    true = motion(np.random.default_rng(start), head.centre)
    found = register(t1, moved(ct, true), seed=start)
    errors = head.errors_mm(found.matrix, np.linalg.inv(true))
    assert float(np.median(errors)) < 0.5
    assert float(errors.max()) < 1.5
    turn = found.matrix[:3, :3]
    assert np.abs(turn @ turn.T - np.eye(3)).max() < 1e-12


def test_register_takes_an_image_that_shows_a_part_of_the_other(head: Head, t1: Volume) -> None:
    slab = head.seen(View("CT", (3.0, 0.9, 0.9), ((0.35, 0.3), (0, 0), (0, 0)), noise=0.15), seed=3)
    true = motion(np.random.default_rng(5), head.centre)
    errors = head.errors_mm(register(t1, moved(slab, true)).matrix, np.linalg.inv(true))
    assert float(np.median(errors)) < 0.8


def test_register_finds_an_affine_motion(head: Head, t1: Volume, ct: Volume) -> None:
    true = motion(np.random.default_rng(6), head.centre, stretch=0.04)
    found = register(t1, moved(ct, true), "affine")
    errors = head.errors_mm(found.matrix, np.linalg.inv(true))
    assert float(np.median(errors)) < 0.7
    assert found.figures is not None
    assert found.figures.least_scale < 0.99


def test_register_twice_gives_the_same(head: Head, t1: Volume, ct: Volume) -> None:
    there = moved(ct, motion(np.random.default_rng(7), head.centre))
    assert np.array_equal(register(t1, there).matrix, register(t1, there).matrix)


def test_register_looks_only_where_the_mask_is(head: Head, t1: Volume) -> None:
    other = Volume(t1.voxels.copy(), t1.affine, "MR")
    other.voxels[:, :100] = np.random.default_rng(1).permuted(other.voxels[:, :100])
    mask = np.zeros(t1.voxels.shape, np.bool_)
    mask[:, 100:] = t1.voxels[:, 100:] > 30
    true = motion(np.random.default_rng(8), head.centre, degrees=10, shift_mm=15)
    found = register(t1, moved(other, true), fixed_mask=mask, moving_mask=mask)
    assert float(np.median(head.errors_mm(found.matrix, np.linalg.inv(true)))) < 0.5


@pytest.mark.parametrize("model", ["rigid", "affine"])
def test_register_refuses_the_head_of_another(scans: Path, t1: Volume, model: Model) -> None:
    other = read_volume(sorted((scans / "head_ct").glob("*.dcm")))
    with pytest.raises(RegistrationError, match=r"mr cannot be registered to ct: .*inverse_mm"):
        register(other, t1, model, roles=("ct", "mr"))


def test_register_refuses_a_chest_for_a_head(scans: Path, t1: Volume) -> None:
    chest = read_volume(sorted((scans / "chest_ct").glob("*.dcm")))
    with pytest.raises(RegistrationError):
        register(chest, t1)


def test_register_refuses_noise(t1: Volume) -> None:
    noise = np.random.default_rng(9).normal(100, 20, (40, 50, 60)).astype(np.float32)
    with pytest.raises(RegistrationError):
        register(t1, Volume(noise, np.diag([4.0, 4, 4, 1]), "MR"))


def test_register_refuses_a_head_upside_down(head: Head, t1: Volume) -> None:
    over = np.diag([1.0, -1.0, -1.0, 1.0])
    with pytest.raises(RegistrationError):
        register(t1, moved(head.seen(View(), seed=4), over))


def test_register_follows_a_deformation(head: Head, t1: Volume) -> None:
    """A smooth push of up to 6 mm: the deformable model takes more than a third of what the affine one leaves."""
    voxels = np.asarray(head.t1.voxels, dtype=np.float32)
    shape = voxels.shape
    knots = np.random.default_rng(10).normal(size=(3, 5, 5, 5))
    push = np.stack([_spread(one, shape) for one in knots])
    push *= 6 / np.sqrt((push**2).sum(0)).max()
    index = np.indices(shape, dtype=np.float32)
    there = ndimage.map_coordinates(voxels, index + push, order=1)
    found = register(t1, Volume(there.astype(np.float32), t1.affine, "MR"), "deformable")
    assert found.deformation is not None
    assert found.figures is not None
    assert found.figures.least_jacobian > 0.3
    inside = np.stack(np.nonzero(voxels[::15, ::15, ::15] > 30), 1) * np.float64(15)
    landed = inside.copy()
    for _ in range(30):  # where a point of the undeformed head went: y + push(y) = x
        pushed = [ndimage.map_coordinates(one, landed.T, order=1, mode="nearest") for one in push]
        landed = inside - np.stack(pushed, 1)
    points, truth = (_placed(one, t1.affine) for one in (inside, landed))
    back = np.linalg.inv(found.matrix)
    affine_only = points @ back[:3, :3].T + back[:3, 3]
    warped = Warp.of(found.deformation, "cpu")
    moved_points = warped(torch.from_numpy(points)).numpy() @ back[:3, :3].T + back[:3, 3]
    before, after = (
        float(np.linalg.norm(one - truth, axis=1).mean()) for one in (affine_only, moved_points)
    )
    assert after < 0.65 * before


def _spread(knots: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    zoom = [length / 5 for length in shape]
    wide = ndimage.zoom(knots, zoom, order=3, mode="nearest", grid_mode=True)
    return np.asarray(wide, dtype=np.float32)


def _placed(index: NDArray[np.floating], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(index[:, ::-1] @ affine[:3, :3].T + affine[:3, 3])
