"""Array axes and directions in the patient."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from medaet.compute.orient import Orientation
from medaet.compute.resample import Axis, Grid
from medaet.errors import PluginError

AXIAL = np.diag([0.5, 0.5, 2.0, 1.0])  # columns to the left, rows to the back, slices to the head
CORONAL = np.array([[0.5, 0, 0, 0], [0, 0, 2.0, 0], [0, -0.5, 0, 0], [0, 0, 0, 1.0]])


@pytest.fixture
def image() -> torch.Tensor:
    return torch.arange(2 * 3 * 4).reshape(1, 2, 3, 4)


def test_axial_slices_rows_and_columns_run_to_head_back_and_left(image: torch.Tensor) -> None:
    assert Orientation.towards("SPL", AXIAL) == Orientation()
    assert torch.equal(Orientation.towards("SPL", AXIAL).apply(image), image)


def test_ras_of_axial_slices_takes_columns_first_and_mirrors_two_axes(image: torch.Tensor) -> None:
    turned = Orientation.towards("RAS", AXIAL).apply(image)
    assert torch.equal(turned, image.permute(0, 3, 2, 1).flip(1, 2))


def test_coronal_slices_run_from_front_to_back() -> None:
    found = Orientation.towards("SPL", CORONAL)
    assert found.order == (1, 0, 2)  # rows run to the feet, slices to the back
    assert found.flipped == (0,)


def test_an_oblique_axis_counts_as_the_direction_it_comes_closest_to() -> None:
    tilted = AXIAL.copy()
    tilted[:3, :3] = [[0.5, 0, 0], [0, 0.47, -0.7], [0, 0.17, 1.88]]
    assert Orientation.towards("SPL", tilted) == Orientation()


@pytest.mark.parametrize("letters", ["RAS", "LPI", "SAL", "ASR"])
@pytest.mark.parametrize("affine", [AXIAL, CORONAL])
def test_undo_takes_labels_back(
    image: torch.Tensor, letters: str, affine: NDArray[np.float64]
) -> None:
    there = Orientation.towards(letters, affine)
    assert torch.equal(there.undo(there.apply(image)), image)
    assert torch.equal(there.undo(there.apply(image)[0]), image[0])


@pytest.mark.parametrize("letters", ["RA", "RAX", "RLS", "RASP"])
def test_letters_that_are_no_three_directions_are_refused(letters: str) -> None:
    with pytest.raises(PluginError, match=letters):
        Orientation.towards(letters, AXIAL)


def test_undone_mirrors_and_reorders_a_grid() -> None:
    grid = Grid((Axis(2, 0.0, 2.0, 4), Axis.edges(3, 3), Axis.edges(2, 2)))
    back = Orientation.towards("RAS", AXIAL).undone(grid)
    assert back.axes[2].positions().tolist() == [1, 3]  # 0 and 2 counted from the other end
    assert back.shape == (2, 3, 2)
