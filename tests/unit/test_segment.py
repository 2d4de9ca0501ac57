"""Segmentation against the plain way: MONAI's sliding windows, every class interpolated, then the largest one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.inferers.utils import sliding_window_inference
from torch import nn
from torch.nn import functional

from medaet.compute import borders, labels
from medaet.compute.orient import Orientation
from medaet.compute.resample import Grid, resample
from medaet.compute.segment import prepare, segment
from medaet.plugin.recipe import Activation, Alignment, Recipe

UPRIGHT = Orientation()


class Convolution(nn.Module):
    """One random convolution: its answer at a voxel depends on the window's edges, as a real network's does."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Conv3d(channels, classes, 5, padding=2)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(windows) * 5
        return logits


def _voxels(*shape: int, rough: bool) -> torch.Tensor:
    values = torch.from_numpy(np.random.default_rng(5).normal(size=shape).astype(np.float32))
    return (
        values if rough or min(shape) == 1 else functional.avg_pool3d(values[None], 3, 1, 1)[0] * 4
    )


def _plainly(
    voxels: torch.Tensor, spacing_mm: Sequence[float], network: nn.Module, recipe: Recipe
) -> torch.Tensor:
    grid = Grid.of_spacing(
        voxels.shape[1:], spacing_mm, recipe.spacing_mm, alignment=recipe.alignment
    )
    logits = sliding_window_inference(
        resample(voxels, grid)[None], recipe.window, 2, network, recipe.overlap, mode="gaussian"
    )
    scores = torch.as_tensor(logits)[0]
    if recipe.activation == "sigmoid":
        return (resample(scores.sigmoid(), grid.inverse) > 0.5).to(torch.uint8)
    return resample(scores.softmax(0), grid.inverse).argmax(0).to(torch.uint8)


def _segmented(
    voxels: torch.Tensor, spacing_mm: Sequence[float], network: nn.Module, recipe: Recipe
) -> torch.Tensor:
    return segment(prepare(voxels, spacing_mm, UPRIGHT, recipe, "CT"), network, recipe, batch=3)


@torch.inference_mode()
@pytest.mark.parametrize("rough", [True, False])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize(
    ("shape", "wanted_mm", "classes", "alignment"),
    [
        ((24, 30, 33), (1.0, 1.0, 1.0), 3, "edges"),  # the volume's own grid
        ((24, 30, 33), (2.0, 1.7, 3.0), 2, "edges"),
        ((24, 30, 33), (2.0, 1.7, 3.0), 7, "centres"),
        ((9, 10, 40), (0.7, 0.9, 1.4), 4, "centres"),
        ((1, 40, 3), (1.0, 2.5, 1.0), 3, "edges"),  # smaller than a window, and one slice
    ],
)
def test_labels_are_those_of_interpolating_every_class_everywhere(
    shape: tuple[int, int, int],
    wanted_mm: tuple[float, float, float],
    classes: int,
    alignment: Alignment,
    activation: Activation,
    rough: bool,
) -> None:
    recipe = Recipe(
        wanted_mm,
        window=(8, 12, 8),
        overlap=0.4,
        activation=activation,
        alignment=alignment,
        skip_background=False,
    )
    network = Convolution(2, classes)
    voxels = _voxels(2, *shape, rough=rough)
    expected = _plainly(voxels, (1.0, 1.0, 1.0), network, recipe)
    found = _segmented(voxels, (1.0, 1.0, 1.0), network, recipe)
    assert float((found != expected).float().mean()) < 1e-4


class SideBySide(Convolution):
    """Gives its logits with a voxel's classes side by side in memory, in memory that the next call uses again."""

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        logits = super().forward(windows)
        shape = (*logits.movedim(1, -1).shape,)
        if getattr(self, "kept", torch.empty(0)).shape != shape:
            self.kept = torch.empty(shape)
        self.kept.copy_(logits.movedim(1, -1))
        return self.kept.movedim(-1, 1)


@torch.inference_mode()
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("wanted_mm", [(1.0, 1.0, 1.0), (2.0, 1.7, 3.0)])
@pytest.mark.parametrize(("mirror", "crop"), [((), False), ((0, 2), True)])
@pytest.mark.parametrize("classes", [3, 20])
def test_labels_do_not_depend_on_how_logits_lie_in_memory(
    classes: int,
    mirror: tuple[int, ...],
    crop: bool,
    wanted_mm: tuple[float, float, float],
    activation: Activation,
) -> None:
    recipe = Recipe(wanted_mm, window=(8, 12, 8), mirror=mirror, crop=crop, activation=activation)
    voxels = torch.full((1, 26, 30, 34), -1000.0)
    voxels[:, 4:22, 5:24, 6:30] = _voxels(1, 18, 19, 24, rough=False)
    expected = _segmented(voxels, (1.0, 1.0, 1.0), Convolution(1, classes), recipe)
    found = _segmented(voxels, (1.0, 1.0, 1.0), SideBySide(1, classes), recipe)
    assert float((found != expected).float().mean()) < 1e-4
    assert found.min() != found.max()


@torch.inference_mode()
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7, 2, 3, 4), (40, 1, 3, 4)])
def test_winners_are_those_of_argmax(shape: tuple[int, ...]) -> None:
    logits = torch.randint(-2, 3, shape, generator=torch.Generator().manual_seed(1)).float()
    expected = torch.from_numpy(logits.numpy().argmax(0))  # the first of equals
    for one in (logits, logits.movedim(0, -1).contiguous().movedim(-1, 0)):
        assert torch.equal(labels.winners(one).long(), expected)


@torch.inference_mode()
def test_labels_do_not_depend_on_how_much_is_looked_at_in_one_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = Recipe((2.0, 1.0, 1.5), window=(8, 8, 8), skip_background=False)
    network, voxels = Convolution(1, 5), _voxels(1, 40, 20, 20, rough=False)
    whole = _segmented(voxels, (1.0, 1.0, 1.0), network, recipe)
    monkeypatch.setattr(labels, "BLOCK_BYTES", 1)
    monkeypatch.setattr(borders, "POINTS", 100)
    assert torch.equal(_segmented(voxels, (1.0, 1.0, 1.0), network, recipe), whole)


def _person() -> torch.Tensor:
    """A body of 40 HU with an organ of 200, in air, in two parts along the slices."""
    voxels = torch.full((1, 60, 40, 40), -1000.0)
    voxels[:, 5:20, 10:30, 10:30] = 40
    voxels[:, 8:15, 15:25, 14:22] = 200
    voxels[:, 45:55, 10:30, 10:30] = 40
    voxels[:, 47:53, 15:25, 14:22] = 200
    return voxels


class Counted(nn.Module):
    """Class 1 above 120 HU; counts the windows it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.windows = 0

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        self.windows += len(windows)
        margin = (windows - 120) / 20
        return torch.cat([-margin, margin], dim=1)


@torch.inference_mode()
@pytest.mark.parametrize("wanted_mm", [(1.0, 1.0, 1.0), (1.5, 2.0, 2.0)])
def test_windows_of_air_are_left_out_and_change_nothing(
    wanted_mm: tuple[float, float, float],
) -> None:
    every, some = Counted(), Counted()
    recipe = Recipe(wanted_mm, window=(4, 4, 4))
    without = _segmented(_person(), (1.0, 1.0, 1.0), some, recipe)
    recipe = Recipe(wanted_mm, window=(4, 4, 4), skip_background=False)
    assert torch.equal(without, _segmented(_person(), (1.0, 1.0, 1.0), every, recipe))
    assert without.any()
    assert some.windows < 0.5 * every.windows


@torch.inference_mode()
@pytest.mark.parametrize("wanted_mm", [(1.0, 1.0, 1.0), (1.5, 2.0, 2.0)])
@pytest.mark.parametrize("classes", [2, 3])
def test_cropping_to_the_patient_changes_nothing_but_where_windows_lie(
    wanted_mm: tuple[float, float, float], classes: int
) -> None:
    network = nn.Conv3d(1, classes, 1)  # its answer at a voxel depends on that voxel alone
    for number, weight in enumerate(network.weight):
        nn.init.constant_(weight, number / 2)  # so that air is class 0
    nn.init.constant_(network.bias, 0.1)  # type: ignore[arg-type] # it has one
    recipe = Recipe(wanted_mm, window=(4, 4, 4), overlap=0.5, intensity=lambda one: one / 100)
    whole = _segmented(_person(), (1.0, 1.0, 1.0), network, recipe)
    box = prepare(_person(), (1.0, 1.0, 1.0), UPRIGHT, replace(recipe, crop=True), "CT").box
    assert box is not None
    assert any(one.start > 0 for one in box)
    cropped = _segmented(_person(), (1.0, 1.0, 1.0), network, replace(recipe, crop=True))
    assert cropped.shape == whole.shape
    assert cropped.any()
    assert int((cropped != whole).sum()) <= 0.002 * whole.numel()


@torch.inference_mode()
def test_intensities_are_those_of_the_patient_where_it_is_cropped() -> None:
    seen: list[tuple[int, ...]] = []

    def intensity(image: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(image.shape[1:]))
        return image

    recipe = Recipe((1.0, 1.0, 1.0), crop=True, intensity=intensity)
    prepared = prepare(_person(), (1.0, 1.0, 1.0), UPRIGHT, recipe, "CT")
    assert seen == [tuple(prepared.image.shape[1:])]
    assert np.prod(seen[0]) < 0.5 * _person().numel()


@torch.inference_mode()
def test_a_volume_of_air_needs_no_network() -> None:
    network = Counted()
    recipe = Recipe((2.0, 2.0, 2.0), window=(8, 8, 8))
    found = _segmented(torch.full((1, 10, 20, 20), -1000.0), (1.0, 1.0, 1.0), network, recipe)
    assert found.shape == (10, 20, 20)
    assert not found.any()
    assert network.windows == 0


@torch.inference_mode()
def test_labels_come_back_on_the_axes_of_the_volume() -> None:
    recipe = Recipe((2.0, 2.0, 1.0), window=(8, 8, 8), orientation="RAS")
    voxels = _person()
    turned = prepare(voxels, (1.0, 1.0, 1.0), Orientation.towards("RAS", np.eye(4)), recipe, "CT")
    assert tuple(turned.image.shape) == (1, 20, 20, 60)
    found = segment(turned, Counted(), recipe)
    straight = _segmented(voxels, (1.0, 1.0, 1.0), Counted(), Recipe((1.0, 2.0, 2.0)))
    assert torch.equal(found, straight)


@torch.inference_mode()
def test_mirroring_averages_the_logits_of_all_flips() -> None:
    class Ramp(nn.Module):
        """Logits grow along the columns, so that only the average over both directions is even."""

        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            ramp = torch.linspace(-3, 3, windows.shape[-1]).expand_as(windows)
            return torch.cat([torch.full_like(windows, 0.001), ramp], dim=1)

    voxels = torch.zeros(1, 8, 8, 8)
    plain = Recipe((1.0, 1.0, 1.0), window=(8, 8, 8))
    assert _segmented(voxels, (1, 1, 1), Ramp(), plain).float().mean() == 0.5
    both = Recipe((1.0, 1.0, 1.0), window=(8, 8, 8), mirror=(0, 2))
    assert not _segmented(voxels, (1, 1, 1), Ramp(), both).any()


@torch.inference_mode()
def test_progress_is_told_window_by_window() -> None:
    seen: list[tuple[int, int, int]] = []
    recipe = Recipe((1.0, 1.0, 1.0), window=(8, 8, 8), overlap=0.0, skip_background=False)
    prepared = prepare(torch.zeros(1, 8, 16, 16), (1, 1, 1), UPRIGHT, recipe, "CT")
    segment(prepared, Counted(), recipe, on_windows=lambda *told: seen.append(told))
    assert seen == [(0, 4, 4), (1, 4, 4), (2, 4, 4), (3, 4, 4)]


@torch.inference_mode()
def test_batches_are_full_but_for_the_last_whatever_a_row_holds() -> None:
    class Sizes(Counted):
        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            sizes.append(len(windows))
            return super().forward(windows)

    sizes: list[int] = []
    recipe = Recipe((1.0, 1.0, 1.0), window=(8, 8, 8), overlap=0.0, skip_background=False)
    voxels = _person()[:, :24, :40, :24]
    prepared = prepare(voxels, (1, 1, 1), UPRIGHT, recipe, "CT")
    found = segment(prepared, Sizes(), recipe, batch=4)
    assert sizes == [4] * 11 + [1]  # five rows of nine windows
    assert torch.equal(found, segment(prepared, Counted(), recipe, batch=1))
