"""Inference engines: all give what torch gives, and the fastest of them is remembered."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from medaet.compute.engines import choice
from medaet.compute.engines.choice import BUILDERS, Chosen, agree, choose, measured
from medaet.compute.engines.eager import Eager, computed_in
from medaet.compute.engines.engine import OnnxFile, Task, quiet
from medaet.compute.engines.fingerprint import fingerprint
from medaet.compute.engines.onnx import CUDA, TENSORRT, onnx_file, providers
from medaet.compute.engines.ready import Ready
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


class Scripted(Eager):
    """Answers what it is told, after so long."""

    def __init__(self, name: EngineName, logits: torch.Tensor) -> None:
        super().__init__(nn.Identity(), "fp32", name=name)
        self._logits = logits

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        return self._logits


def _pretend(
    monkeypatch: pytest.MonkeyPatch, engines: dict[EngineName, tuple[torch.Tensor, float]]
) -> None:
    """Let the engines be those that are given, with their logits and milliseconds."""

    def builder(name: EngineName) -> object:
        return lambda _task: Scripted(name, engines[name][0])

    def milliseconds(engine: Eager, _example: torch.Tensor) -> float:
        return engines[engine.name][1]

    monkeypatch.setattr(choice, "BUILDERS", {name: builder(name) for name in engines})
    monkeypatch.setattr(choice, "CANDIDATES", tuple(engines))
    monkeypatch.setattr(choice, "_milliseconds", milliseconds)


def test_the_fastest_engine_that_agrees_is_taken(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.randn(1, 3, 8, 10, 12)
    _pretend(
        monkeypatch,
        {
            "eager": (logits, 9.0),
            "torchscript": (logits + 1e-6, 5.0),
            "openvino": (logits.flip(1), 1.0),
        },
    )
    chosen = measured(task)
    assert chosen.engine.name == "torchscript"
    assert chosen.milliseconds == {"eager": 9.0, "torchscript": 5.0}


def test_torch_itself_is_kept_when_little_is_to_be_gained(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.randn(1, 3, 8, 10, 12)
    _pretend(monkeypatch, {"eager": (logits, 1.05), "openvino": (logits, 1.0)})
    assert measured(task).engine.name == "eager"


def test_the_choice_is_remembered_for_the_same_network_only(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(one: Task) -> Chosen:
        calls.append(one.fingerprint)
        return Chosen(BUILDERS["torchscript"](one), {"torchscript": 1.0})

    monkeypatch.setattr(choice, "measured", counted)
    known = replace(task, cache=tmp_path, fingerprint="a" * 64)
    for _ in range(2):
        assert choose(known).engine.name == "torchscript"
    choose(replace(known, fingerprint="b" * 64))
    assert calls == ["a" * 64, "b" * 64]
    note = json.loads(next(tmp_path.glob("a*.json")).read_text())
    assert note["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize("content", ["", "[]", '{"engine": "abacus", "milliseconds": {}}'])
def test_a_damaged_note_is_measured_anew(
    task: Task, tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend(monkeypatch, {"eager": (torch.randn(1, 3, 8, 10, 12), 1.0)})
    known = replace(task, cache=tmp_path, fingerprint="a" * 64)
    choose(known)
    (note,) = tmp_path.glob("*.json")
    note.write_text(content)
    choose(known)
    assert json.loads(note.read_text())["milliseconds"]


def test_an_engine_that_is_asked_for_is_not_measured(task: Task) -> None:
    chosen = choose(task, "exported")
    assert (chosen.engine.name, chosen.milliseconds) == ("exported", {})


def test_logits_agree_up_to_rounding_only() -> None:
    logits = torch.randn(1, 3, 20, 20, 20)
    assert agree(logits + 1e-7, logits)
    assert not agree(logits.roll(1, dims=1), logits)
    assert not agree(logits * float("nan"), logits)
    assert not agree(logits[:, :2], logits)


def test_fingerprint_changes_with_weights_and_with_structure() -> None:
    names = {fingerprint(_network(1)), fingerprint(_network(2)), fingerprint(nn.PReLU())}
    assert len(names) == 3
    assert fingerprint(_network(1)) in names


def test_fewer_windows_than_the_first_time_are_filled_up() -> None:
    seen: list[int] = []

    class Counts(Eager):
        def __call__(self, windows: torch.Tensor) -> torch.Tensor:
            seen.append(len(windows))
            return windows

    ready = Ready(lambda _windows: Chosen(Counts(nn.Identity(), "fp32"), {}))
    windows = torch.randn(3, 1, 2, 2, 2)
    assert torch.equal(ready(windows), windows)
    assert torch.equal(ready(windows[:1]), windows[:1])
    assert seen == [3, 3]


def test_single_precision_means_single_precision() -> None:
    def rounded() -> tuple[bool, bool]:
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before = rounded()
    with computed_in("fp32", torch.device("cpu")):
        assert rounded() == (False, False)
    with computed_in("tf32", torch.device("cpu")):
        assert rounded() == (True, True)
    assert rounded() == before


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
