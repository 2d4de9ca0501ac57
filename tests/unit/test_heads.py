"""Boxes, classes and numbers of networks: where boxes come to lie, and what may be returned."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from monai.data.box_utils import non_max_suppression
from torch import nn

from medaet.compute.heads import corners, suppressed
from medaet.compute.outputs import boxes, numbers
from medaet.compute.runtime import Runtime
from medaet.dicom.volume import Volume
from medaet.errors import FindingsError, PluginError
from medaet.plugin.recipe import Alignment, BoxMode, BoxRecipe

SHAPE, SPACING_MM = (20, 24, 30), (3.0, 0.8, 0.7)


def volume(affine: np.ndarray | None = None) -> Volume:
    """A scan with a bright block at slices 4 to 7, rows 10 to 15, columns 3 to 8."""
    voxels = np.zeros(SHAPE, np.int16)
    voxels[4:8, 10:16, 3:9] = 100
    own = np.diag([SPACING_MM[2], SPACING_MM[1], SPACING_MM[0], 1.0])
    return Volume(voxels, own if affine is None else affine, "CT")


class Bright(nn.Module):
    """Puts a box around what is bright, where anything is."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        where = torch.nonzero(x[0, 0] > 50).float()
        count = min(len(where), 1)
        if count == 0:
            return torch.zeros((0, 6)), torch.zeros(0), torch.zeros(0, dtype=torch.long)
        box = torch.cat([where.amin(0) - 0.5, where.amax(0) + 0.5])[None]
        score = torch.tensor([len(where) / 144])
        return box, score, torch.ones(1, dtype=torch.long)


class Constant(nn.Module):
    """Sees the same box everywhere."""

    def __init__(self, *places: float) -> None:
        super().__init__()
        self.box = torch.tensor([places])

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"box": self.box, "label_scores": torch.ones(1), "label": torch.zeros(1).long()}


@pytest.mark.parametrize("orientation", ["", "SPL", "RAS", "ILA"])
@pytest.mark.parametrize("window", [(0, 0, 0), (12, 16, 20)])
def test_a_box_lies_around_what_the_network_saw_whichever_way_its_axes_run(
    orientation: str, window: tuple[int, int, int]
) -> None:
    given = volume()
    letters = {"S": 0, "I": 0, "P": 1, "A": 1, "L": 2, "R": 2}
    order = [letters[one] for one in orientation] or [0, 1, 2]
    own = tuple(SPACING_MM[axis] for axis in order)
    found = Runtime("cpu").detect(
        Bright(), given, BoxRecipe(threshold=0.9), spacing_mm=(own[0], own[1], own[2]),
        orientation=orientation, window=window, overlap=0.6,
    )  # fmt: skip
    (one,) = found
    assert one.box.low == pytest.approx((3.5, 9.5, 2.5), abs=1e-6)
    assert one.box.high == pytest.approx((7.5, 15.5, 8.5), abs=1e-6)
    assert (one.score, one.number) == (1.0, 1)


@pytest.mark.parametrize("alignment", ["edges", "centres"])
def test_a_box_on_another_grid_comes_back_by_hand_computed_places(alignment: Alignment) -> None:
    found = Runtime("cpu").detect(
        Constant(2.0, 3.0, 4.0, 5.0, 8.0, 7.5), volume(), BoxRecipe(),
        spacing_mm=(2.0, 1.0, 1.0), window=(0, 0, 0), alignment=alignment,
    )  # fmt: skip
    counts = (30, 19, 21)  # 20 x 3 / 2, 24 x 0.8 and 30 x 0.7, rounded
    steps = [size / count for size, count in zip(SHAPE, counts, strict=True)]

    def placed(places: tuple[float, float, float]) -> list[float]:
        if alignment == "centres":
            wanted = (2.0, 1.0, 1.0)
            return [p * w / s for p, w, s in zip(places, wanted, SPACING_MM, strict=True)]
        return [(p + 0.5) * step - 0.5 for p, step in zip(places, steps, strict=True)]

    assert found[0].box.low == pytest.approx(placed((2.0, 3.0, 4.0)))
    assert found[0].box.high == pytest.approx(placed((5.0, 8.0, 7.5)))


def test_boxes_are_cut_at_the_edge_of_the_scan_and_weak_ones_left_out() -> None:
    runtime, whole = Runtime("cpu"), {"spacing_mm": SPACING_MM, "window": (0, 0, 0)}
    (cut,) = runtime.detect(Constant(-9.0, -9, -9, 99, 99, 99), volume(), BoxRecipe(), **whole)  # type: ignore[arg-type]
    assert cut.box.low == (-0.5, -0.5, -0.5)
    assert cut.box.high == (19.5, 23.5, 29.5)
    outside = Constant(50.0, 50, 50, 60, 60, 60)
    assert runtime.detect(outside, volume(), BoxRecipe(), **whole) == []  # type: ignore[arg-type]
    empty = Volume(np.zeros(SHAPE, np.int16), np.eye(4), "CT")
    assert runtime.detect(Bright(), empty, BoxRecipe(), **whole) == []  # type: ignore[arg-type]
    half = BoxRecipe(threshold=1.1)
    assert runtime.detect(Bright(), volume(), half, **whole) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "places"),
    [
        ("xyzxyz", (1, 2, 3, 5, 8, 11)),
        ("xxyyzz", (1, 5, 2, 8, 3, 11)),
        ("xyzwhd", (1, 2, 3, 4, 6, 8)),
        ("cccwhd", (3, 5, 7, 4, 6, 8)),
    ],
)
@pytest.mark.parametrize("origin", ["centre", "edge"])
def test_modes_of_boxes_say_the_same(mode: BoxMode, places: tuple[int, ...], origin: Any) -> None:
    found = corners(torch.tensor([places], dtype=torch.float64), BoxRecipe(mode, origin))
    shift = 0.5 if origin == "edge" else 0.0
    assert found.tolist() == [[one - shift for one in (1, 2, 3, 5, 8, 11)]]


def test_suppression_keeps_what_monai_keeps() -> None:
    rng = torch.Generator().manual_seed(5)
    low = torch.rand((200, 3), generator=rng).double() * 30
    places = torch.cat([low, low + 2 + torch.rand((200, 3), generator=rng).double() * 8], dim=1)
    scores = torch.rand(200, generator=rng)
    kept = suppressed(places, scores, torch.zeros(200, dtype=torch.long), 0.22)
    wanted = non_max_suppression(places.float(), scores, nms_thresh=0.22)
    assert kept.tolist() == wanted.tolist()
    assert 10 < len(kept) < 200


def test_boxes_of_two_classes_do_not_suppress_each_other() -> None:
    places = torch.tensor([[0, 0, 0, 4, 4, 4], [0, 0, 0, 4, 4, 4.0]])
    scores = torch.tensor([0.9, 0.8])
    assert suppressed(places, scores, torch.tensor([0, 1]), 0.1).tolist() == [0, 1]
    assert suppressed(places, scores, torch.tensor([0, 0]), 0.1).tolist() == [0]


BOX, SCORE, LABEL = torch.rand(3, 6), torch.tensor([0.1, 0.2, 0.3]), torch.tensor([4, 5, 6])


@pytest.mark.parametrize(
    "output",
    [
        (BOX, SCORE, LABEL),
        (BOX, LABEL, SCORE),
        [{"boxes": BOX, "labels": LABEL, "scores": SCORE}],
        {"label_scores": SCORE, "box": BOX, "label": LABEL},
        ({}, [{"boxes": BOX, "scores": SCORE, "labels": LABEL}]),
        (BOX[None], SCORE[None], LABEL[None]),
    ],
    ids=["by position", "labels first", "torchvision", "MONAI", "scripted", "with a batch"],
)
def test_boxes_are_understood_in_every_usual_form(output: Any) -> None:
    places, scores, labels = boxes(output)
    assert torch.equal(places.float(), BOX)
    assert torch.equal(scores, SCORE)
    assert torch.equal(labels, LABEL)


def test_a_score_for_each_class_names_the_class() -> None:
    _, scores, labels = boxes((BOX, torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])))
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("read", "output"),
    [
        (boxes, torch.zeros(3, 6)),
        (boxes, (torch.zeros(3, 4), SCORE, LABEL)),
        (boxes, (BOX, SCORE[:2], LABEL)),
        (numbers, {"one": SCORE, "two": SCORE}),
        (numbers, torch.zeros(1, 2, 8, 8)),
    ],
)
def test_other_outputs_are_refused_with_their_shapes(
    read: Callable[[Any], Any], output: Any
) -> None:
    with pytest.raises(PluginError, match="the network returns"):
        read(output)


class Means(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.flatten(1).mean(1), x.flatten(1).amax(1)], dim=1)


def test_numbers_are_of_the_middle_of_the_scan_filled_up_with_its_lowest_value() -> None:
    found = Runtime("cpu").predict(Means(), volume(), spacing_mm=SPACING_MM, window=(20, 24, 30))
    assert found.tolist() == [[pytest.approx(144 * 100 / 14400), 100.0]]
    larger = Runtime("cpu").predict(Means(), volume(), spacing_mm=SPACING_MM, window=(40, 24, 30))
    assert larger[0, 0] == pytest.approx(found[0, 0] / 2)
    middle = Runtime("cpu").predict(Means(), volume(), spacing_mm=SPACING_MM, window=(2, 24, 30))
    assert middle.tolist() == [[0.0, 0.0]]


def test_numbers_of_planes_are_a_row_each() -> None:
    found = Runtime("cpu").predict(Means(), volume(), spacing_mm=SPACING_MM, window=(1, 24, 30))
    assert found.shape == (20, 2)
    assert np.flatnonzero(found[:, 1]).tolist() == [4, 5, 6, 7]


def test_numbers_that_are_not_finite_are_refused() -> None:
    class Divides(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1).amin(1) / 0

    with pytest.raises(FindingsError, match="not finite"):
        Runtime("cpu").predict(Divides(), volume(), spacing_mm=SPACING_MM, window=(20, 24, 30))
