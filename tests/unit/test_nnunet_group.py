"""Several nnU-Nets as one: cropped by a rough one, merged into one label map of more than a hundred classes."""

from pathlib import Path

import numpy as np
import pytest

from medaet.compute.runtime import Runtime
from medaet.demo.scans import write_scan
from medaet.dicom.volume import Volume, read_volume
from medaet.errors import PluginError
from medaet.plugin.kind import Answers
from medaet.plugin.model import Model, digests
from medaet.plugin.registry import discover
from medaet.precision import Terms
from medaet.worker.importing import recognised, smoke_volume
from medaet_plugins.nnunet import NnUNetGroup, NnUNetSettings
from medaet_plugins.nnunet.inference import Predictor
from tests.many_parts import write_group

CLASSES = (50, 40, 30)
BOX = (slice(20, 30), slice(150, 270), slice(130, 290))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_group(tmp_path_factory.mktemp("total") / "everything", CLASSES)


@pytest.fixture(scope="module")
def packed(source: Path) -> tuple[Path, Model]:
    folder = source.parent / "packed"
    folder.mkdir()
    model = NnUNetGroup.describe(source, Answers())
    NnUNetGroup.pack(source, folder, model)
    return folder, model.model_copy(update={"files": digests(folder)})


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    whole = read_volume(write_scan("chest-ct", tmp_path_factory.mktemp("scan")))
    return Volume(whole.voxels[BOX], whole.affine, whole.modality)


def test_the_group_has_the_classes_of_all_its_parts(source: Path) -> None:
    assert recognised(discover(), source) is NnUNetGroup
    model = NnUNetGroup.describe(source, Answers())
    assert len(model.outputs) == sum(CLASSES)
    values = [value for one in model.outputs for value in one.values]
    assert values == list(range(1, sum(CLASSES) + 1))


def test_parts_are_merged_inside_what_the_rough_model_found(
    packed: tuple[Path, Model], scan: Volume
) -> None:
    folder, model = packed
    analysis = NnUNetGroup.analysis.of(model, folder)(NnUNetSettings(mirror=False))
    runtime = Runtime("cpu", terms=Terms(engine="eager"))
    analysis.load(runtime)
    found = analysis.analyse({"ct": scan}, runtime)
    labels = found.segments[0].voxels.map.labels  # type: ignore[attr-defined]
    spacing = scan.spacing_mm
    rough = Predictor(folder / "rough", "cpu", mirror=False).predict([scan.voxels], spacing) == 1
    box = []
    for axis in range(3):
        hit = np.flatnonzero(rough.any(axis=tuple({0, 1, 2} - {axis})))
        margin = int(np.ceil(10 / spacing[axis]))
        box.append(slice(max(0, hit[0] - margin), hit[-1] + 1 + margin))
    expected = np.zeros(scan.voxels.shape, np.uint8)
    offset = 0
    for number, count in enumerate(CLASSES):
        part = Predictor(folder / f"part-{number}", "cpu", mirror=False)
        one = part.predict([scan.voxels[tuple(box)]], spacing)
        inner = expected[tuple(box)]
        inner[one > 0] = one[one > 0] + offset
        offset += count
    assert np.array_equal(labels, expected)
    assert len(np.unique(expected)) > 3
    assert len({id(one.voxels.map) for one in found.segments}) == 1  # type: ignore[attr-defined]


def test_nothing_is_looked_at_where_the_rough_model_finds_nothing(
    packed: tuple[Path, Model],
) -> None:
    folder, model = packed
    analysis = NnUNetGroup.analysis.of(model, folder)(NnUNetSettings(mirror=False))
    runtime, volume = Runtime("cpu", terms=Terms(engine="eager")), smoke_volume("CT")
    analysis.load(runtime)
    empty = Volume(np.full_like(volume.voxels, 300), volume.affine, "CT")
    found = analysis.analyse({"ct": empty}, runtime)
    assert not found.segments
    assert "nothing in the scan" in found.remarks[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('labels = ["lung"]', 'labels = ["liver"]', "rough knows no 'liver', but lung, bone"),
        ('"part-1"', '"part-0"', "parts lists part-0 twice"),
        ("margin_mm", "margin", "crop.margin: Extra inputs"),
        ('"part-1"', '"../secret"', "parts.1: String should match"),
        ('model = "rough"', 'model = "gone"', "gone is no folder"),
    ],
)
def test_a_group_that_cannot_be_right_is_refused(
    old: str, new: str, words: str, source: Path
) -> None:
    path = source / "group.toml"
    text = path.read_text()
    try:
        path.write_text(text.replace(old, new))
        with pytest.raises(PluginError, match=words):
            NnUNetGroup.describe(source, Answers())
    finally:
        path.write_text(text)
