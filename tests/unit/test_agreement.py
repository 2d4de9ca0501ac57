"""Agreement of two analyses, against numbers worked out by hand."""

import numpy as np
import pytest

from medaet import Box, Classification, Detection, Findings, Measurement, Segment
from medaet.codes import LUNG
from medaet.dicom.codes import HOUNSFIELD, VOLUME
from medaet.plugin.agreement import agreements


def _box(length: int, label: str = "Lung") -> Segment:
    mask = np.zeros((4, 8, 20), dtype=np.bool_)
    mask[1:3, 2:6, :length] = True
    return Segment(label, mask, LUNG)


def _number(value: float) -> Measurement:
    return Measurement(VOLUME, value, HOUNSFIELD, of="Lung")


def test_structures_are_compared_by_overlap_and_size() -> None:
    pairs = [
        (Findings([_box(10)]), Findings([_box(10)])),
        (Findings([_box(10)]), Findings([_box(15)])),
        (Findings([_box(10)]), Findings([])),
        (Findings([]), Findings([_box(3, "Bone")])),
    ]
    bone, lung = agreements(pairs)
    assert (bone.what, bone.studies, bone.only_live, bone.only_other) == ("Bone", 0, 0, 1)
    assert (lung.studies, lung.only_live, lung.only_other) == (2, 1, 0)
    assert lung.lowest_dice == pytest.approx(2 * 10 / 25)
    assert lung.mean_dice == pytest.approx((1 + 0.8) / 2)
    assert lung.mean_difference == pytest.approx(25)
    spread = np.std([0, 50], ddof=1)
    assert lung.upper_limit == pytest.approx(25 + 1.96 * spread)


def test_numbers_are_compared_by_their_differences() -> None:
    pairs = [
        (Findings([_box(5)], [_number(10)]), Findings([_box(5)], [_number(13)])),
        (Findings([_box(5)], [_number(10)]), Findings([_box(5)])),
    ]
    rows = {one.what: one for one in agreements(pairs)}
    (number,) = (one for what, one in rows.items() if ": " in what)
    assert (number.studies, number.only_live, number.unit) == (1, 1, HOUNSFIELD.value)
    assert number.mean_difference == pytest.approx(3)
    assert number.lower_limit is None


def test_masks_on_other_grids_count_as_found_by_each_alone() -> None:
    other = Segment("Lung", np.ones((2, 2, 2), dtype=np.bool_), LUNG)
    (row,) = agreements([(Findings([_box(5)]), Findings([other]))])
    assert (row.studies, row.only_live, row.only_other) == (0, 1, 1)


def test_classes_are_compared_by_their_probabilities_and_boxes_by_their_number() -> None:
    box = Detection("Nodule 1", Box((0, 0, 0), (1, 1, 1)), LUNG, 0.9)
    live = Findings(detections=[box], classifications=[Classification("Cold", LUNG, True, 0.6)])
    other = Findings(classifications=[Classification("Cold", LUNG, True, 0.8)])
    cold, boxes = agreements([(live, other)])
    assert (cold.what, cold.studies) == ("Cold: probability", 1)
    assert cold.mean_difference == pytest.approx(20)
    assert (boxes.what, boxes.mean_difference) == ("Detections", -1)
