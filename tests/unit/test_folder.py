"""Findings and volumes as files, and the refusal of files that lie."""

from pathlib import Path

import numpy as np
import pytest

from medaet import Findings, Measurement, Segment
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
