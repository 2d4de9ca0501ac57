"""Networks as TorchScript and ONNX files: a small TOML is enough, and what cannot be right is refused."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner, Result

from medaet.cli import application
from medaet.compute.runtime import Runtime
from medaet.errors import PluginError
from medaet.plugin.kind import Answers, ModelKind
from medaet.plugin.model import digests
from medaet.worker.importing import smoke_volume
from medaet_plugins.network_file import Onnx, TorchScript

AIR, BONE = -500.0, 80.0
TOML = """\
modality = "CT"
spacing_mm = [0, 0, 0]
window = [16, 16, 16]
skip_background = false
outputs = { Air = 1, Bone = 2 }
"""


class Threshold(nn.Module):
    """Logits that tell air, soft tissue and bone apart by HU."""

    def __init__(self, dimensions: int = 3, classes: int = 3) -> None:
        super().__init__()
        kind = nn.Conv3d if dimensions == 3 else nn.Conv2d
        self.layer = kind(1, classes, 1)
        with torch.no_grad():
            self.layer.weight[:, 0] = torch.tensor([0.0, -1.0, 1.0])[:classes].view(
                -1, *[1] * dimensions
            )
            assert self.layer.bias is not None
            self.layer.bias[:] = torch.tensor([0.0, AIR, -BONE])[:classes]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(x)
        return found


class Reader(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("/etc/hostname", False, 1)


def _torchscript(folder: Path, network: nn.Module, example: torch.Tensor) -> Path:
    path = folder / "thorax.ts"
    torch.jit.trace(network, example).save(str(path))  # type: ignore[no-untyped-call]
    return path


def _onnx(folder: Path, network: nn.Module, example: torch.Tensor) -> Path:
    path = folder / "thorax.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (example,), str(path), dynamo=False, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}},
        )  # fmt: skip
    return path


WRITERS: dict[type[ModelKind], Callable[[Path, nn.Module, torch.Tensor], Path]] = {
    TorchScript: _torchscript,
    Onnx: _onnx,
}


def _packed(kind: type[ModelKind], source: Path, *, trust: bool = False) -> ModelKind:
    model = kind.describe(source, Answers(trust=trust))
    folder = source.parent / "packed"
    folder.mkdir()
    kind.pack(source, folder, model)
    model = model.model_copy(update={"files": digests(folder)})
    return kind.analysis.of(model, folder)()  # type: ignore[return-value]


@pytest.mark.filterwarnings("ignore")  # torch deprecates its own tracers
@pytest.mark.parametrize("kind", WRITERS, ids=["torchscript", "onnx"])
@pytest.mark.parametrize("dimensions", [3, 2])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_labels_are_those_of_the_network(
    kind: type[ModelKind], dimensions: int, activation: str, tmp_path: Path
) -> None:
    example = torch.zeros((1, 1, *[16] * dimensions))
    source = WRITERS[kind](tmp_path, Threshold(dimensions), example)
    text = TOML.replace("[16,", "[1,") if dimensions == 2 else TOML
    source.with_suffix(".toml").write_text(f'activation = "{activation}"\n{text}')
    assert kind.recognises(source)
    assert kind.recognises(source.with_suffix(".toml"))
    assert kind.recognises(tmp_path)
    analysis = _packed(kind, source)
    runtime = Runtime("cpu")
    analysis.load(runtime)  # type: ignore[attr-defined]
    volume = smoke_volume("CT")
    found = analysis.analyse({"image": volume}, runtime)  # type: ignore[attr-defined]
    masks = {one.label: one.voxels.whole() for one in found.segments}
    assert np.array_equal(masks["Air"], volume.voxels < AIR)
    assert np.array_equal(masks["Bone"], volume.voxels > BONE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TOML.replace("spacing_mm", "spacing"), "spacing_mm: Field required"),
        (TOML.replace("Bone = 2", "Bone = 7"), "ask for"),
        (TOML.replace('modality = "CT"', ""), "do not say the modality"),
        ("outputs = [", "is no TOML"),
        ("", "spacing_mm"),
    ],
    ids=["unknown key", "too few classes", "no modality", "no TOML", "empty"],
)
@pytest.mark.filterwarnings("ignore")
def test_a_toml_that_cannot_be_right_is_refused(text: str, words: str, tmp_path: Path) -> None:
    source = _torchscript(tmp_path, Threshold(), torch.zeros((1, 1, 16, 16, 16)))
    source.with_suffix(".toml").write_text(text)
    with pytest.raises(PluginError, match=words):
        _packed(TorchScript, source)


@pytest.mark.filterwarnings("ignore")
def test_a_missing_toml_is_asked_for_with_an_example(tmp_path: Path) -> None:
    source = _torchscript(tmp_path, Threshold(), torch.zeros((1, 1, 16, 16, 16)))
    with pytest.raises(PluginError, match=r"write thorax\.toml beside it(.|\n)*spacing_mm"):
        TorchScript.describe(source, Answers())


@pytest.mark.filterwarnings("ignore")
def test_a_script_that_reads_files_needs_trust(tmp_path: Path) -> None:
    path = tmp_path / "thorax.ts"
    torch.jit.script(Reader()).save(str(path))  # type: ignore[no-untyped-call]
    path.with_suffix(".toml").write_text(TOML)
    with pytest.raises(PluginError, match=r"torch\.from_file.*--trust"):
        _packed(TorchScript, path)


def test_bare_weights_and_text_are_no_network_files(tmp_path: Path) -> None:
    torch.save(Threshold().state_dict(), tmp_path / "weights.pt")
    (tmp_path / "notes.toml").write_text(TOML)
    assert not TorchScript.recognises(tmp_path / "weights.pt")
    assert not TorchScript.recognises(tmp_path / "notes.toml")


def _medaet(*words: str | Path) -> Result:
    typed = [str(word) for word in words]
    return CliRunner().invoke(application(typed), typed)


@pytest.mark.filterwarnings("ignore")
def test_an_administrator_imports_a_network_file(tmp_path: Path) -> None:
    source = _onnx(tmp_path, Threshold(), torch.zeros((1, 1, 16, 16, 16)))
    source.with_suffix(".toml").write_text(TOML)
    config = tmp_path / "medaet.toml"
    config.write_text(f'[spool]\npath = "{tmp_path / "spool"}"\n')
    done = _medaet("models", "import", source, "--config", config)
    assert done.exit_code == 0, done.output
    assert "thorax 1 (onnx) is an analysis" in done.output
