"""The choice of an engine: the fastest that agrees with torch, remembered for the same network."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from medaet.compute.engines import choice
from medaet.compute.engines.choice import BUILDERS, Chosen, agree, choose, measured
from medaet.compute.engines.eager import Eager
from medaet.compute.engines.engine import Task
from medaet.compute.engines.ready import Ready
from medaet.precision import EngineName


@pytest.fixture
def task() -> Task:
    torch.manual_seed(4)
    network = nn.Sequential(nn.Conv3d(2, 8, 3, padding=1), nn.PReLU(), nn.Conv3d(8, 3, 1)).eval()
    return Task(network, torch.randn(1, 2, 8, 10, 12), "fp32")


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


def test_no_further_engine_is_tried_once_measuring_took_long(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.randn(1, 3, 8, 10, 12)
    _pretend(
        monkeypatch,
        {
            "eager": (logits, 9.0),
            "channels_last": (logits, 7.0),
            "openvino": (logits, 5.0),
            "torchscript": (logits, 1.0),
        },
    )
    monkeypatch.setattr(choice, "BUDGET_SECONDS", 0.0)
    chosen = measured(task)
    assert list(chosen.milliseconds) == ["eager", "channels_last", "openvino"]
    assert chosen.engine.name == "openvino"


def test_a_long_first_run_is_measurement_enough(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend(monkeypatch, {"eager": (torch.randn(1, 3, 8, 10, 12), 7.0)})
    monkeypatch.setattr(choice, "LONG_SECONDS", -1.0)
    assert measured(task).milliseconds["eager"] != 7.0


def test_a_network_that_is_called_once_and_takes_long_is_run_by_torch_at_once(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.randn(1, 3, 8, 10, 12)
    _pretend(monkeypatch, {"eager": (logits, 9.0), "openvino": (logits, 1.0)})
    monkeypatch.setattr(choice, "LONG_SECONDS", -1.0)
    known = replace(task, cache=tmp_path, fingerprint="a" * 64, calls=1)
    chosen = choose(known)
    assert (chosen.engine.name, list(chosen.milliseconds)) == ("eager", ["eager"])
    assert chosen.provisional
    assert not list(tmp_path.glob("*.json"))  # a larger volume may find another engine
    assert list(choose(replace(known, calls=3)).milliseconds) == ["eager", "openvino"]


def test_a_short_network_is_measured_however_seldom_it_is_called(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.randn(1, 3, 8, 10, 12)
    _pretend(monkeypatch, {"eager": (logits, 9.0), "openvino": (logits, 1.0)})
    monkeypatch.setattr(choice, "LONG_SECONDS", 1e6)
    assert measured(replace(task, calls=1)).engine.name == "openvino"


def test_the_choice_is_made_once_a_volume_has_more_windows(task: Task) -> None:
    asked: list[int] = []

    def of(_windows: torch.Tensor, calls: int) -> Chosen:
        asked.append(calls)
        return Chosen(BUILDERS["eager"](task), {}, provisional=calls <= choice.FEW_CALLS)

    ready = Ready(of)
    for calls in (1, 2, 3, 4):
        ready.expect(calls)
        ready(task.example)
    assert asked == [1, 3]


def test_an_engine_that_is_far_behind_in_its_first_run_is_not_run_again(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.randn(1, 3, 8, 10, 12)
    _pretend(monkeypatch, {"eager": (logits, 1e-9), "openvino": (logits, 0.0)})
    assert measured(task).milliseconds["openvino"] > 0


def test_an_engine_that_is_asked_for_is_not_measured(task: Task) -> None:
    chosen = choose(task, "exported")
    assert (chosen.engine.name, chosen.milliseconds) == ("exported", {})


def test_logits_agree_up_to_rounding_only() -> None:
    logits = torch.randn(1, 3, 20, 20, 20)
    assert agree(logits + 1e-7, logits)
    assert not agree(logits.roll(1, dims=1), logits)
    assert not agree(logits * float("nan"), logits)
    assert not agree(logits[:, :2], logits)


def test_fewer_windows_than_the_first_time_are_filled_up() -> None:
    seen: list[int] = []

    class Counts(Eager):
        def __call__(self, windows: torch.Tensor) -> torch.Tensor:
            seen.append(len(windows))
            return windows

    ready = Ready(lambda _windows, _calls: Chosen(Counts(nn.Identity(), "fp32"), {}))
    windows = torch.randn(3, 1, 2, 2, 2)
    assert torch.equal(ready(windows), windows)
    assert torch.equal(ready(windows[:1]), windows[:1])
    assert seen == [3, 3]


def test_the_windows_that_were_measured_with_are_not_run_again(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.randn(1, 3, 8, 10, 12)
    _pretend(monkeypatch, {"eager": (logits, 2000.0)})
    ready = Ready(lambda windows, _calls: choose(replace(task, example=windows)))
    assert ready(task.example) is logits
    assert ready.spent_seconds() >= 2.0
    assert ready.chosen is not None
    assert ready.chosen.logits is None  # nothing is held on to
