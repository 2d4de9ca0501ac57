"""Findings and volumes as files, and the refusal of files that lie."""

from pathlib import Path

import numpy as np
import pytest

from medaet import (
    Findings,
    Measurement,
    ParametricMap,
    Segment,
    segments_of,
    structure,
)
from medaet.dicom.codes import BRAIN, LEFT, LUNG, PERCENT, VOLUME
from medaet.errors import FindingsError
from medaet.plugin import folder as kept


def _findings() -> Findings:
    mask = np.zeros((3, 4, 5), dtype=bool)
    mask[1, 2, 3] = True
    return Findings(
        segments=(
            Segment("Left lung", mask, LUNG, modifier=LEFT, role="ct", colour=(1, 2, 3)),
            Segment("Brain", ~mask, BRAIN, role="ct"),
        ),
        measurements=(Measurement(VOLUME, 1.5, PERCENT, "Brain"),),
        remarks=("seen",),
    )


def test_load_returns_what_save_wrote(tmp_path: Path) -> None:
    wanted = _findings()
    kept.save(wanted, tmp_path)
    found = kept.load(tmp_path)
    assert [one.label for one in found.segments] == ["Left lung", "Brain"]
    assert all(
        np.array_equal(a.mask, b.mask) for a, b in zip(found.segments, wanted.segments, strict=True)
    )
    assert found.segments[0].modifier == LEFT
    assert found.segments[0].colour == (1, 2, 3)
    assert found.measurements == wanted.measurements
    assert found.remarks == ("seen",)


def test_label_map_is_kept_once_for_all_its_segments(tmp_path: Path) -> None:
    labels = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    names = {3: structure("liver"), 7: structure("spleen")}
    kept.save(Findings(segments_of(labels, names)), tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 1
    found = kept.load(tmp_path)
    assert [one.label for one in found.segments] == ["Liver", "Spleen"]
    assert np.array_equal(found.segments[1].mask, labels == 7)


def test_probabilities_and_maps_are_kept(tmp_path: Path) -> None:
    probability = np.linspace(0, 1, 60).reshape(3, 4, 5)
    segment = Segment("Lung", probability > 0.5, LUNG, probability=probability)
    perfusion = ParametricMap("Perfusion", probability * 3, VOLUME, PERCENT)
    kept.save(Findings([segment], maps=[perfusion], failed=["Spleen"]), tmp_path)
    found = kept.load(tmp_path)
    kept_probability = found.segments[0].probability
    assert kept_probability is not None
    assert np.array_equal(kept_probability, np.rint(probability * 255))
    assert np.array_equal(found.maps[0].voxels, (probability * 3).astype(np.float32))
    assert (found.maps[0].quantity, found.maps[0].unit) == (VOLUME, PERCENT)
    assert found.failed == ("Spleen",)


@pytest.mark.parametrize("name", ["../labels-1.npy", "/etc/passwd", "labels-1.npy.npy", ""])
def test_load_refuses_arrays_by_other_names(tmp_path: Path, name: str) -> None:
    kept.save(
        Findings(segments_of(np.ones((1, 1, 1), np.uint8), {1: structure("liver")})), tmp_path
    )
    path = tmp_path / "findings.json"
    path.write_text(path.read_text().replace("labels-1.npy", name))
    with pytest.raises(FindingsError):
        kept.load(tmp_path)


def test_load_refuses_a_label_map_of_another_type(tmp_path: Path) -> None:
    kept.save(
        Findings(segments_of(np.ones((1, 1, 1), np.uint8), {1: structure("liver")})), tmp_path
    )
    np.save(tmp_path / "labels-1.npy", np.ones((1, 1, 1)))
    with pytest.raises(FindingsError, match="holds float64"):
        kept.load(tmp_path)


def test_load_refuses_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(FindingsError):
        kept.load(tmp_path)


def test_load_refuses_a_mask_of_another_size(tmp_path: Path) -> None:
    kept.save(_findings(), tmp_path)
    np.save(tmp_path / "segment-1.npy", np.zeros(1, dtype=np.uint8))
    with pytest.raises(FindingsError, match="does not have the shape"):
        kept.load(tmp_path)


def test_load_refuses_a_link(tmp_path: Path) -> None:
    kept.save(_findings(), tmp_path)
    (tmp_path / "findings.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / "findings.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(FindingsError):
        kept.load(tmp_path)
