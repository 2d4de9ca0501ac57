"""Many segments in one array: masks on demand, counts once, one file."""

from pathlib import Path

import numpy as np
import pytest

from medaet import Findings, Measurement, Segment, Volume
from medaet.codes import BRAIN, LUNG
from medaet.errors import FindingsError
from medaet.plugin import folder as kept
from medaet.plugin.mask import LabelMap
from medaet.results.form import overlap


def _labels() -> LabelMap:
    array = np.zeros((3, 4, 5), np.uint8)
    array[0, 0], array[1, 1, :2], array[2] = 1, 2, 7
    return LabelMap(array)


def test_mask_is_the_voxels_of_any_of_its_numbers() -> None:
    labels = _labels()
    both = labels.mask(1, 2, 9)
    expected = np.isin(labels.labels, (1, 2))
    assert both.counts.tolist() == expected.sum(axis=(1, 2)).tolist()
    assert np.array_equal(both.whole(), expected)
    assert np.array_equal(both.plane(1), expected[1])
    assert np.array_equal(both.across(1, 1), expected[:, 1])
    assert both.total(np.ones((3, 4, 5))) == 7


def test_segments_share_a_map_and_count_without_masks() -> None:
    labels = _labels()
    findings = Findings(
        [Segment("One", labels.mask(1), LUNG), Segment("Seven", labels.mask(7), BRAIN)],
        [Measurement.volume(of="Seven")],
    ).resolved({"ct": Volume(np.zeros((3, 4, 5), np.int16), np.diag([10.0, 10, 10, 1]), "CT")})
    assert findings.measurements[0].value == pytest.approx(20.0)
    assert findings.segment("One").role == "ct"


def test_masks_of_a_map_overlap_where_they_share_a_number_that_occurs() -> None:
    labels = _labels()

    def segment(name: str, *numbers: int) -> Segment:
        return Segment(name, labels.mask(*numbers), LUNG)

    assert not overlap([segment("a", 1), segment("b", 2, 7)])
    assert overlap([segment("a", 1, 2), segment("b", 2)])
    assert not overlap([segment("a", 1, 5), segment("b", 2, 5)])


def test_folder_keeps_a_map_once_and_unions_with_it(tmp_path: Path) -> None:
    labels = _labels()
    segments = [Segment(f"S{one}", labels.mask(*one), LUNG) for one in ((1,), (2,), (1, 7))]
    kept.save(Findings(segments), tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 1
    found = kept.load(tmp_path)
    assert [one.count for one in found.segments] == [5, 2, 25]
    assert np.array_equal(found.segments[2].mask, segments[2].mask)


def test_folder_refuses_a_map_of_another_shape(tmp_path: Path) -> None:
    kept.save(Findings([Segment("S", _labels().mask(1), LUNG)]), tmp_path)
    np.save(next(tmp_path.glob("*.npy")), np.zeros((1, 1, 1), np.uint8))
    with pytest.raises(FindingsError, match="does not have the shape"):
        kept.load(tmp_path)


@pytest.mark.parametrize("numbers", [(), (0,), (-1,), (70000,)])
def test_mask_refuses_numbers_that_no_label_has(numbers: tuple[int, ...]) -> None:
    with pytest.raises(FindingsError, match="1 to 65535"):
        _labels().mask(*numbers)
