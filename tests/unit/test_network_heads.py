"""Network files whose output is no mask: boxes, classes of a whole scan and numbers, as TorchScript and as ONNX."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from torch import nn

from medaet import Findings, Volume
from medaet.compute.runtime import Runtime
from medaet.errors import PluginError
from medaet.plugin.kind import ModelKind
from medaet.testing.phantom import write_series
from medaet.worker.importing import smoke_volume
from medaet_plugins.network_file import Onnx, TorchScript
from tests.unit.test_network_file import WRITERS, _medaet, _packed

pytestmark = pytest.mark.filterwarnings("ignore")  # torch deprecates its own tracers

COMMON = 'modality = "CT"\nspacing_mm = [0, 0, 0]\nmin_slices = 4\n'
BOXES = (
    COMMON
    + """\
head = "boxes"
window = [0, 0, 0]
outputs = { nodule = 0, calcification = 1 }
codes = { nodule = "27925004^SCT^Nodule" }
"""
)
CLASSES = (
    COMMON
    + """\
head = "classes"
window = [24, 40, 40]
outputs = { bright = 1, dark = 2 }
"""
)
NUMBERS = (
    COMMON
    + """\
head = "numbers"
window = [24, 40, 40]
outputs = { "bone age" = 0, "mean" = 1 }
units = { "bone age" = "mo", mean = "[hnsf'U]" }
codes = { mean = "112031^DCM^Attenuation Coefficient" }
"""
)


class Bones(nn.Module):
    """Puts one box around all above 80."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        where = torch.nonzero(x[0, 0] > 80).float()
        if where.numel() == 0:
            return torch.zeros((0, 6)), torch.zeros(0), torch.zeros(0, dtype=torch.long)
        box = torch.cat([where.amin(0) - 0.5, where.amax(0) + 0.5])[None]
        return box, torch.full((1,), 0.75), torch.zeros(1, dtype=torch.long)


class Brightness(nn.Module):
    """Logits, or numbers, that follow from mean and maximum."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.flatten(1).mean(1)
        each = [mean * 0, mean / 100, -mean / 100][: self.outputs]
        return torch.stack([mean * 0 + 120, mean] if self.outputs == 2 else each, dim=1)


def write(kind: type[ModelKind], network: nn.Module, text: str, folder: Path) -> Path:
    example = smoke()
    if kind is TorchScript:
        path = folder / "thorax.ts"
        torch.jit.save(torch.jit.script(network), str(path))
    elif isinstance(network, Bones):
        path = folder / "thorax.onnx"
        axes = {"x": {2: "s", 3: "r", 4: "c"}, "boxes": {0: "n"}, "scores": {0: "n"}}
        torch.onnx.export(
            network, (example,), str(path), dynamo=False, input_names=["x"],
            output_names=["boxes", "scores", "labels"], dynamic_axes=axes,
        )  # fmt: skip
    else:
        path = WRITERS[kind](folder, network, example)
    path.with_suffix(".toml").write_text(text)
    return path


def smoke() -> torch.Tensor:
    return torch.from_numpy(smoke_volume("CT").voxels.astype(np.float32))[None, None]


def found(kind: type[ModelKind], source: Path, volume: Volume) -> Findings:
    analysis = _packed(kind, source)
    runtime = Runtime("cpu")
    analysis.load(runtime)  # type: ignore[attr-defined]
    made: Findings = analysis.analyse({"image": volume}, runtime)  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize("kind", [TorchScript, Onnx])
def test_boxes_of_a_network_file_are_detections(kind: type[ModelKind], tmp_path: Path) -> None:
    volume = smoke_volume("CT")
    findings = found(kind, write(kind, Bones(), BOXES, tmp_path), volume)
    (one,) = findings.detections
    where = np.argwhere(volume.voxels > 80)
    assert one.label == "nodule 1"
    assert one.code.value == "27925004"
    assert one.score == 0.75
    assert one.box.low == pytest.approx(tuple(where.min(0) - 0.5))
    assert one.box.high == pytest.approx(tuple(where.max(0) + 0.5))
    assert [(each.label, each.present) for each in findings.classifications] == [
        ("calcification", False)
    ]


@pytest.mark.parametrize("kind", [TorchScript, Onnx])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_classes_of_a_network_file_are_classifications(
    kind: type[ModelKind], activation: str, tmp_path: Path
) -> None:
    volume = smoke_volume("CT")
    text = f'activation = "{activation}"\n{CLASSES}'
    findings = found(kind, write(kind, Brightness(3), text, tmp_path), volume)
    mean = float(volume.voxels.mean())
    logits = np.array([0, mean / 100, -mean / 100])
    likely = np.exp(logits) / np.exp(logits).sum()
    if activation == "sigmoid":
        likely = 1 / (1 + np.exp(-logits))
    bright, dark = findings.classifications
    assert (bright.label, dark.label) == ("bright", "dark")
    assert bright.probability == pytest.approx(likely[1], abs=1e-5)
    assert dark.probability == pytest.approx(likely[2], abs=1e-5)
    assert (bright.present, dark.present) == (False, True)


@pytest.mark.parametrize("kind", [TorchScript, Onnx])
def test_numbers_of_a_network_file_are_measurements(kind: type[ModelKind], tmp_path: Path) -> None:
    volume = smoke_volume("CT")
    findings = found(kind, write(kind, Brightness(2), NUMBERS, tmp_path), volume)
    age, mean = findings.measurements
    assert (age.value, age.unit.value, age.unit.meaning) == (120.0, "mo", "month")
    assert age.name.meaning == "bone age"
    assert mean.name.value == "112031"
    assert mean.value == pytest.approx(float(volume.voxels.mean()), abs=0.01)


def test_planes_are_joined_by_their_mean_or_their_most(tmp_path: Path) -> None:
    volume = smoke_volume("CT")
    each = volume.voxels.reshape(len(volume.voxels), -1).mean(1)
    for pool, wanted in (("mean", each.mean()), ("max", each.max())):
        folder = tmp_path / pool
        folder.mkdir()
        text = NUMBERS.replace("[24,", "[1,") + f'pool = "{pool}"\n'
        text = text.replace("units =", f'pool = "{pool}"\nunits =', 1).removesuffix(
            f'pool = "{pool}"\n'
        )
        source = write(TorchScript, Brightness(2), text, folder)
        assert found(TorchScript, source, volume).measurements[1].value == pytest.approx(wanted)


def test_a_scan_is_stretched_to_the_window_whatever_its_spacing(tmp_path: Path) -> None:
    text = NUMBERS.replace("[24, 40, 40]", "[12, 20, 20]").replace(
        "units =", 'fit = "stretch"\nunits ='
    )
    source = write(TorchScript, Brightness(2), text, tmp_path)
    volume = smoke_volume("CT")
    value = found(TorchScript, source, volume).measurements[1].value
    assert value == pytest.approx(float(volume.voxels.mean()), abs=1)


@pytest.mark.parametrize(
    ("network", "text", "words"),
    [
        (Bones(), CLASSES, "not one tensor"),
        (Brightness(3), BOXES, "not boxes"),
        (Brightness(3), CLASSES.replace("dark = 2", "dark = 7"), "ask for"),
        (Brightness(2), NUMBERS.replace("units =", "#"), "in which UCUM unit"),
        (Brightness(2), NUMBERS.replace("codes = { mean", "codes = { median"), "none of the outputs"),
        (Brightness(3), CLASSES.replace("[24,", "[0,"), 'needs head = "boxes"'),
        (Brightness(3), CLASSES + 'units = { dark = "mm" }\n', "units belong to"),
    ],
    ids=["boxes for classes", "classes for boxes", "class", "unit", "label", "window", "units"],
)  # fmt: skip
def test_a_head_that_cannot_be_right_is_refused(
    network: nn.Module, text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(PluginError, match=words):
        _packed(TorchScript, write(TorchScript, network, text, tmp_path))


@pytest.mark.slow
def test_an_administrator_imports_a_detector_and_runs_it_on_files(tmp_path: Path) -> None:
    source = write(Onnx, Bones(), BOXES, tmp_path)
    config = tmp_path / "medaet.toml"
    config.write_text(f'[spool]\npath = "{tmp_path / "spool"}"\n')
    done = _medaet("models", "import", source, "--config", config)
    assert done.exit_code == 0, done.output
    assert "thorax 1 (onnx) is an analysis" in done.output
    voxels = np.full((6, 16, 18), -900, np.int16)
    voxels[2:4, 5:9, 3:7] = 300
    paths = write_series(tmp_path / "ct", voxels=voxels, spacing_mm=(2.5, 0.75, 0.5))
    done = _medaet("run", "thorax", paths[0].parent, "--out", tmp_path / "out", "--config", config)
    assert done.exit_code == 0, done.output
    assert "box, 75%" in done.output
    told = json.loads((tmp_path / "out" / "findings.json").read_text())
    (detection,) = told["detections"]
    assert detection["box"] == {"low": [1.5, 4.5, 2.5], "high": [3.5, 8.5, 6.5]}
    (report,) = [pydicom.dcmread(one) for one in (tmp_path / "out").glob("*-sr.dcm")]
    headers = [pydicom.dcmread(path) for path in paths]
    lowest = min(headers, key=lambda one: float(one.ImagePositionPatient[2]))
    origin = np.array(lowest.ImagePositionPatient, float)
    low = origin + np.array([2.5 * 0.5, 4.5 * 0.75, 1.5 * 2.5])
    assert np.abs(np.array(detection["corners_mm"]) - low).sum(axis=1).min() < 1e-3
    assert report.CompletionFlag == "COMPLETE"
