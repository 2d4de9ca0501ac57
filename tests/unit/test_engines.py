"""Inference engines: all give what torch gives, and the fastest of them is remembered."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from medaet.compute.engines.choice import BUILDERS, choose
from medaet.compute.engines.eager import computed_in
from medaet.compute.engines.engine import OnnxFile, Task, quiet
from medaet.compute.engines.fingerprint import fingerprint
from medaet.compute.engines.onnx import CUDA, TENSORRT, onnx_file, providers
from medaet.errors import EngineError
from medaet.precision import EngineName, Precision

EVERY: tuple[EngineName, ...] = (
    "eager",
    "channels_last",
    "torchscript",
    "exported",
    "onnxruntime",
    "openvino",
)


def _network(seed: int = 4) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv3d(2, 8, 3, padding=1),
        nn.BatchNorm3d(8),
        nn.PReLU(),
        nn.Conv3d(8, 8, 3, stride=2, padding=1),
        nn.InstanceNorm3d(8),
        nn.ConvTranspose3d(8, 3, 2, stride=2),
    ).eval()


@pytest.fixture
def task() -> Task:
    return Task(_network(), torch.randn(1, 2, 8, 10, 12), "fp32")


@pytest.mark.parametrize("name", EVERY)
def test_engine_gives_torchs_logits(task: Task, name: EngineName) -> None:
    assert isinstance(task.source, nn.Module)
    with torch.inference_mode():
        expected = task.source(task.example)
    engine = BUILDERS[name](task)
    assert engine.name == name
    found = engine(task.example)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_engine_runs_an_onnx_file(task: Task, tmp_path: Path, name: EngineName) -> None:
    kept = replace(task, cache=tmp_path, fingerprint="f" * 64)
    with onnx_file(kept) as path:
        assert path.parent == tmp_path
        of_file = replace(task, source=OnnxFile(path))
        found = BUILDERS[name](of_file)(task.example)
    assert torch.allclose(found, BUILDERS["eager"](task)(task.example), atol=1e-4)


def test_torch_refuses_an_onnx_file(task: Task, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"x\.onnx"):
        BUILDERS["eager"](replace(task, source=OnnxFile(tmp_path / "x.onnx")))


def test_torchscript_takes_a_network_that_is_torchscript_already(task: Task) -> None:
    with quiet():
        scripted = torch.jit.trace(task.source, task.example)  # type: ignore[no-untyped-call]
    found = BUILDERS["torchscript"](replace(task, source=scripted))(task.example)
    assert torch.allclose(found, BUILDERS["eager"](task)(task.example), atol=1e-4)


def test_channels_last_leaves_the_plugins_own_network_alone(task: Task) -> None:
    assert isinstance(task.source, nn.Module)
    before = [value.stride() for value in task.source.parameters()]
    BUILDERS["channels_last"](task)
    assert [value.stride() for value in task.source.parameters()] == before


def test_openvino_sends_nothing_home(task: Task) -> None:
    BUILDERS["openvino"](task)
    assert sys.modules["openvino_telemetry"] is None


def test_openvino_reads_what_it_converted_before(task: Task, tmp_path: Path) -> None:
    kept = replace(task, cache=tmp_path, fingerprint="f" * 64)
    BUILDERS["openvino"](kept)
    (converted,) = tmp_path.glob("*.xml")
    assert converted.with_suffix(".bin").exists()
    assert isinstance(task.source, nn.Module)
    expected = BUILDERS["eager"](task)(task.example)
    other = replace(kept, source=_network(seed=9))  # its weights are not looked at any more
    assert torch.allclose(BUILDERS["openvino"](other)(task.example), expected, atol=1e-4)


def test_a_network_that_cannot_be_traced_runs_in_torch(tmp_path: Path) -> None:
    class Untraceable(nn.Module):
        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            if isinstance(windows, FakeTensor) or torch._C._get_tracing_state() is not None:
                raise TypeError("nobody traces me")
            return torch.cat([windows, -windows], dim=1)

    task = Task(Untraceable(), torch.randn(1, 1, 4, 4, 4), "fp32")
    for name in ("torchscript", "exported", "onnxruntime", "openvino"):
        with pytest.raises(EngineError):
            BUILDERS[name](task)
    assert choose(task).engine.name in ("eager", "channels_last")


def test_fingerprint_changes_with_weights_and_with_structure() -> None:
    names = {fingerprint(_network(1)), fingerprint(_network(2)), fingerprint(nn.PReLU())}
    assert len(names) == 3
    assert fingerprint(_network(1)) in names


def test_single_precision_means_single_precision() -> None:
    def rounded() -> tuple[bool, bool]:
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before = rounded()
    with computed_in("fp32", torch.device("cpu")):
        assert rounded() == (False, False)
    with computed_in("tf32", torch.device("cpu")):
        assert rounded() == (True, True)
    assert rounded() == before


@pytest.mark.parametrize("name", EVERY)
def test_no_cpu_claims_to_compute_in_tf32(task: Task, name: EngineName) -> None:
    with pytest.raises(EngineError):
        BUILDERS[name](replace(task, precision="tf32"))


def test_half_precision_is_computed_in_halves_and_answered_in_floats(task: Task) -> None:
    exact = BUILDERS["eager"](task)(task.example)
    half = BUILDERS["eager"](replace(task, precision="bf16"))(task.example)
    assert half.dtype == torch.float32
    assert 0 < float((half - exact).abs().max()) < 0.2


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["eager", "channels_last", "torchscript", "compiled"])
def test_engine_gives_the_cpus_logits_on_a_gpu(task: Task, name: EngineName) -> None:
    assert isinstance(task.source, nn.Module)
    expected = BUILDERS["eager"](task)(task.example)
    there = replace(task, source=task.source.to("cuda"), example=task.example.to("cuda"))
    assert torch.allclose(BUILDERS[name](there)(there.example).cpu(), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("fp32", [(CUDA, 0, None)]),
        ("tf32", [(TENSORRT, None, 0), (CUDA, 1, None)]),
        ("int8", [(TENSORRT, None, 1), (CUDA, 0, None)]),
    ],
)
def test_tensorrt_which_rounds_to_tf32_has_no_part_in_single_precision(
    precision: Precision, expected: list[tuple[str, int | None, int | None]]
) -> None:
    class OnGpu(Task):
        @property
        def device(self) -> torch.device:
            return torch.device("cuda:1")

    found = providers(OnGpu(_network(), torch.zeros(1, 2, 4, 4, 4), precision))
    assert [(n, o.get("use_tf32"), o.get("trt_int8_enable")) for n, o in found] == expected
    assert {options["device_id"] for _, options in found} == {1}
