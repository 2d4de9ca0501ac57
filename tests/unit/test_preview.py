from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medaet.dicom.codes import BRAIN, LUNG
from medaet.dicom.volume import Volume
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.results.panel import (
    LUNG_WINDOW_HU,
    SOFT_TISSUE_WINDOW_HU,
    grey_window,
    panels,
)
from medaet.results.preview import write_preview


def volume(
    *, shape: tuple[int, int, int] = (10, 32, 32), modality: str = "CT", fill: int = -800
) -> Volume:
    voxels = np.full(shape, fill, np.int16)
    return Volume(voxels, np.diag([1.0, 1.0, 5.0, 1.0]), modality)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def box(shape: tuple[int, int, int] = (10, 32, 32)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[4:8, 8:16, 4:12] = True
    return mask


def test_preview_shows_contours_in_the_colour_of_the_segment(tmp_path: Path) -> None:
    segment = Segment("Box", box(), LUNG, colour=(255, 0, 0))
    path = tmp_path / "preview.png"
    write_preview(path, volume(), Findings(segments=[segment]), title="Phantom")
    pixels = read(path)
    assert np.count_nonzero((pixels == (255, 0, 0)).all(axis=-1)) > 500


def test_preview_is_written_when_nothing_was_found(tmp_path: Path) -> None:
    path = tmp_path / "preview.png"
    write_preview(path, volume(), Findings(), title="Phantom")
    with Image.open(path) as picture:
        assert picture.format == "PNG"


def test_preview_leaves_out_segments_of_another_grid(tmp_path: Path) -> None:
    segment = Segment("Box", box((10, 16, 32)), LUNG, colour=(255, 0, 0))
    path = tmp_path / "preview.png"
    write_preview(path, volume(), Findings(segments=[segment]), title="Phantom")
    pixels = read(path)
    assert not (pixels == (255, 0, 0)).all(axis=-1).any()


def test_preview_gives_the_same_bytes_for_the_same_findings(tmp_path: Path) -> None:
    findings = Findings(segments=[Segment("Box", box(), LUNG)])
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    for path in (one, other):
        write_preview(path, volume(), findings, title="Phantom")
    assert one.read_bytes() == other.read_bytes()


def test_panels_lie_where_something_was_found() -> None:
    shown = panels(volume(), [Segment("Box", box(), LUNG)])
    assert all(panel.masks["Box"].any() for panel in shown)
    assert [panel.caption for panel in shown] == [
        "axial, slice 5 of 10",
        "axial, slice 6 of 10",
        "axial, slice 7 of 10",
        "axial, slice 8 of 10",
        "coronal, reformatted",
        "sagittal, reformatted",
    ]


def test_panels_point_to_the_sides_of_the_patient() -> None:
    axial, coronal, sagittal = panels(volume(), [])[-3:]
    assert axial.edges == ("R", "A")
    assert coronal.edges == ("R", "H")
    assert sagittal.edges == ("A", "H")


def test_panels_keep_the_true_aspect_of_a_reformat() -> None:
    coronal = panels(volume(), [])[-2]
    assert (coronal.pixels.shape, coronal.spacing_mm) == ((10, 32), (5.0, 1.0))


@pytest.mark.parametrize(
    ("fill", "expected"), [(-800, LUNG_WINDOW_HU), (40, SOFT_TISSUE_WINDOW_HU)]
)
def test_grey_window_on_ct_depends_on_what_was_found(
    fill: int, expected: tuple[float, float]
) -> None:
    assert grey_window(volume(fill=fill), [Segment("Box", box(), LUNG)]) == expected


def test_grey_window_on_ct_shows_soft_tissue_when_nothing_was_found() -> None:
    assert grey_window(volume(), []) == SOFT_TISSUE_WINDOW_HU


def test_grey_window_on_mr_follows_percentiles() -> None:
    voxels = np.arange(10_000, dtype=np.int16).reshape(1, 100, 100)
    mr = Volume(voxels, np.eye(4), "MR")
    low, high = grey_window(mr, [Segment("Brain", voxels > 0, BRAIN)])
    assert low == pytest.approx(100, abs=60)
    assert high == pytest.approx(9950, abs=120)
