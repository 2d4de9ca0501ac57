"""Many segments in one array: masks on demand, counts once, one file."""

from pathlib import Path

import numpy as np
import pytest

from medaet import Findings, Measurement, Segment, Volume
from medaet.codes import BRAIN, LUNG
from medaet.errors import FindingsError
from medaet.plugin import folder as kept
from medaet.plugin.label_map import LabelMap


def _labels() -> LabelMap:
    array = np.zeros((3, 4, 5), np.uint8)
    array[0, 0], array[1, 1, :2], array[2] = 1, 2, 7
    return LabelMap(array)


def test_region_is_the_voxels_of_any_of_its_values() -> None:
    region = _labels().region(1, 2)
    assert region.count == 7
    assert region.mask().sum() == 7
    assert np.array_equal(_labels().region(7).mask(), _labels().array == 7)


def test_segments_share_a_map_and_count_without_masks() -> None:
    labels = _labels()
    findings = Findings(
        [Segment("One", labels.region(1), LUNG), Segment("Seven", labels.region(7), BRAIN)],
        [Measurement.volume(of="Seven")],
    ).resolved({"ct": Volume(np.zeros((3, 4, 5), np.int16), np.diag([10.0, 10, 10, 1]), "CT")})
    assert findings.measurements[0].value == pytest.approx(20.0)
    assert findings.segment("One").role == "ct"


def test_folder_keeps_a_map_once(tmp_path: Path) -> None:
    labels = _labels()
    segments = [Segment(f"S{value}", labels.region(value), LUNG) for value in (1, 2, 7)]
    kept.save(Findings(segments), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["findings.json", "labels-1.npy"]
    found = kept.load(tmp_path)
    assert [one.voxel_count for one in found.segments] == [5, 2, 20]
    assert np.array_equal(found.segments[2].mask, segments[2].mask)


def test_folder_refuses_a_map_of_another_shape(tmp_path: Path) -> None:
    kept.save(Findings([Segment("S", _labels().region(1), LUNG)]), tmp_path)
    np.save(tmp_path / "labels-1.npy", np.zeros((1, 1, 1), np.uint8))
    with pytest.raises(FindingsError, match="does not have the shape"):
        kept.load(tmp_path)


@pytest.mark.parametrize("values", [(), (256,), (-1,)])
def test_region_refuses_values_a_map_cannot_hold(values: tuple[int, ...]) -> None:
    with pytest.raises(FindingsError, match="0 to 255"):
        _labels().region(*values)
