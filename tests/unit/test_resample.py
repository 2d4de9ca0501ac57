"""Resampling, against numbers worked out by hand, torch, scipy and MONAI."""

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.intensity.array import ScaleIntensityRange
from monai.transforms.spatial.array import Orientation as MonaiOrientation
from monai.transforms.spatial.array import Spacing
from scipy import ndimage
from torch.nn import functional

from medaet import Volume
from medaet.compute.orient import Orientation
from medaet.compute.resample import Axis, Grid, resample
from medaet.compute.segment import prepare
from medaet.dicom.volume import read_volume
from medaet.plugin.recipe import Alignment, Interpolation, Recipe

SHAPE = (7, 12, 9)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=(2, *SHAPE)).astype(np.float32))


def _line(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


def _along_columns(axis: Axis) -> Grid:
    same = Axis(1, 0.0, 1.0, 1)
    return Grid((same, same, axis))


def test_edges_of_both_grids_coincide() -> None:
    assert Axis.edges(4, 2).positions().tolist() == [0.5, 2.5]


def test_centres_are_counted_from_the_first_voxel() -> None:
    axis = Axis.centres(4, 1.0, 1.5)
    assert axis.positions().tolist() == [0.0, 1.5, 3.0]


def test_grid_of_spacing_keeps_the_extent() -> None:
    grid = Grid.of_spacing((10, 512, 512), (5.0, 0.5, 0.5), (2.5, 2.0, 2.0))
    assert grid.shape == (20, 128, 128)


def test_inverse_places_the_voxels_of_the_first_grid_on_the_second() -> None:
    axis = Axis.centres(9, 0.8, 2.0)
    assert axis.inverse.start == 0
    assert axis.inverse.step == pytest.approx(0.4)
    assert axis.inverse.inverse == axis


def test_linear_takes_the_mean_between_two_voxels() -> None:
    halved = resample(_line(0, 2, 4, 10), _along_columns(Axis.edges(4, 2)))
    assert halved.flatten().tolist() == [1, 7]


def test_values_beyond_the_outermost_centres_are_those_of_the_outermost_voxels() -> None:
    doubled = resample(_line(0, 4), _along_columns(Axis.edges(2, 4)))
    assert doubled.flatten().tolist() == [0, 1, 3, 4]


def test_area_takes_the_mean_over_what_a_sample_covers() -> None:
    covered = resample(_line(0, 3, 6), _along_columns(Axis.edges(3, 2)), mode="area")
    assert covered.flatten().tolist() == pytest.approx([1, 5])  # (0 + 3/2) / 1.5, (3/2 + 6) / 1.5


def test_antialiased_linear_folds_no_fine_pattern_into_a_coarse_grid() -> None:
    stripes = _line(*[0, 1] * 16)
    grid = _along_columns(Axis.edges(32, 5))
    smooth = resample(stripes, grid, antialias=True)
    assert float((smooth - 0.5).abs().max()) < 0.05
    assert float((resample(stripes, grid) - 0.5).abs().max()) > 0.15


def test_nearest_keeps_the_type_and_only_values_that_were_there() -> None:
    labels = torch.arange(7 * 12 * 9, dtype=torch.int16).reshape(1, *SHAPE)
    sampled = resample(labels, Grid.of_shape(SHAPE, (3, 20, 9)), mode="nearest")
    assert sampled.dtype == torch.int16
    assert set(sampled.flatten().tolist()) <= set(labels.flatten().tolist())


@pytest.mark.parametrize("wanted", [(7, 12, 9), (3, 30, 4), (20, 5, 18), (1, 1, 1)])
@pytest.mark.parametrize(
    ("mode", "theirs"), [("linear", "trilinear"), ("nearest", "nearest-exact")]
)
def test_resample_agrees_with_torch(
    image: torch.Tensor, wanted: tuple[int, int, int], mode: Interpolation, theirs: str
) -> None:
    expected = functional.interpolate(image[None], size=wanted, mode=theirs)[0]
    found = resample(image, Grid.of_shape(SHAPE, wanted), mode=mode)
    assert torch.allclose(found, expected, atol=1e-5)


def test_cubic_agrees_with_scipy_zoom(image: torch.Tensor) -> None:
    wanted = (11, 5, 20)
    found = resample(image[:1], Grid.of_shape(SHAPE, wanted), mode="cubic")[0]
    factors = [to / of for to, of in zip(wanted, SHAPE, strict=True)]
    expected = ndimage.zoom(image[0].numpy(), factors, order=3, mode="nearest", grid_mode=True)
    assert np.allclose(found.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("alignment", ["edges", "centres"])
def test_integers_are_resampled_as_their_values(alignment: Alignment) -> None:
    whole = torch.from_numpy(np.arange(2 * 3 * 4, dtype=np.int16).reshape(1, 2, 3, 4))
    grid = Grid.of_spacing((2, 3, 4), (1, 1, 1), (0.7, 2, 1.3), alignment=alignment)
    assert torch.allclose(resample(whole, grid), resample(whole.float(), grid))


@pytest.mark.parametrize(
    ("name", "spacing_mm"),
    [
        ("chest_ct", (2.0, 1.5, 3.0)),
        ("brain_mr", (1.0, 1.0, 1.0)),
        ("head_ct", (1.2, 0.7, 3.0)),
        ("head_mr_pd_native", (1.5, 1.5, 1.5)),
    ],
)
def test_prepared_series_equal_monais(
    scans: Path, name: str, spacing_mm: tuple[float, float, float]
) -> None:
    volume = _upright(read_volume(sorted((scans / name).glob("*.dcm"))))
    low, high = (-1000.0, 400.0) if volume.modality == "CT" else (0.0, 800.0)
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    columns_first = torch.from_numpy(volume.voxels.astype(np.float32)).permute(2, 1, 0)[None]
    theirs = MetaTensor(columns_first.contiguous(), affine=torch.from_numpy(ras))
    theirs = Spacing(spacing_mm, mode="bilinear")(MonaiOrientation("RAS", labels=None)(theirs))
    theirs = ScaleIntensityRange(low, high, 0, 1, clip=True)(theirs)
    recipe = Recipe(
        spacing_mm,
        orientation="RAS",
        alignment="centres",
        intensity=lambda image: ((image - low) / (high - low)).clamp(0, 1),
    )
    ours = prepare(
        torch.from_numpy(volume.voxels)[None],
        volume.spacing_mm,
        Orientation.towards("RAS", volume.affine),
        recipe,
        volume.modality,
    )
    assert ours.image.shape == theirs.shape
    assert float((ours.image - theirs.as_tensor()).abs().max()) < 1e-4


def _upright(volume: Volume) -> Volume:
    """Take the shear of a few hundredths of a degree out of the header; MONAI would take it out of the voxels."""
    matrix = volume.affine[:3, :3]
    spacing = np.linalg.norm(matrix, axis=0)
    u, _, vt = np.linalg.svd(matrix / spacing)
    affine = volume.affine.copy()
    affine[:3, :3] = (u @ vt) * spacing
    return Volume(volume.voxels, affine, volume.modality)
