"""A worker child in trouble of memory and device, and asked by several threads: each run ends as stated."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medaet import Volume
from medaet.errors import (
    AnalysisError,
    ChildCrashedError,
    ChildTimeoutError,
    DeviceError,
    FindingsError,
    OutOfMemoryError,
    WithdrawnError,
)
from medaet.precision import Terms
from medaet.worker import leaks
from medaet.worker.admission import Admission
from medaet.worker.child import WorkerChild
from medaet.worker.peaks import Peaks
from medaet.worker.request import Request, Run
from medaet.worker.sharing import Sharing

MODULES = ("medaet.testing.plugin_zoo", "tests.compute_zoo")


@pytest.fixture(scope="module")
def child() -> Iterator[WorkerChild]:
    one = WorkerChild("cpu", MODULES)
    yield one
    one.close()


@pytest.fixture
def volume() -> Volume:
    voxels = np.arange(-256, 256, dtype=np.int16).reshape(8, 8, 8)
    return Volume(voxels, np.eye(4), "CT")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


Ask = Callable[..., Request]


@pytest.fixture
def ask(volume: Volume, tmp_path: Path) -> Ask:
    numbers = iter(range(100))

    def request(
        name: str, *, seconds: float = 60.0, urgent: bool = False, **settings: object
    ) -> Request:
        return Request(
            analysis=name,
            settings=settings,
            inputs={"ct": volume},
            where=tmp_path / str(next(numbers)),
            seconds=seconds,
            urgent=urgent,
        )

    return request


def _next_succeeds(child: WorkerChild, ask: Ask) -> None:
    assert child.analyse(ask("zoo-tame")).findings.segments[0].mask.sum() == 255


def _begun(path: Path, running: Future[Run]) -> None:
    while not path.exists():
        assert not running.done(), running.result()
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("zoo-segfaults", ChildCrashedError, "SIGSEGV"),
        ("zoo-wrong-role", FindingsError, "'mr'"),
        ("zoo-nan-network", FindingsError, "not finite"),
        ("zoo-broken-device", DeviceError, "device cpu failed"),
        ("zoo-needy", OutOfMemoryError, "memory did not suffice at .*analyse"),
        ("zoo-too-short", OutOfMemoryError, "one window at a time"),
    ],
)
def test_trouble_costs_one_run(
    child: WorkerChild, ask: Ask, name: str, error: type[AnalysisError], words: str
) -> None:
    with pytest.raises(error, match=words):
        child.analyse(ask(name))
    _next_succeeds(child, ask)


def test_the_findings_of_another_patient_are_refused(child: WorkerChild, ask: Ask) -> None:
    child.analyse(ask("zoo-wrong-patient"))
    next_patient = Volume(np.zeros((8, 8, 9), np.int16), np.eye(4), "CT")
    with pytest.raises(FindingsError, match="shape"):
        child.analyse(replace(ask("zoo-wrong-patient"), inputs={"ct": next_patient}))
    _next_succeeds(child, ask)


def test_two_children_share_a_device_while_their_runs_fit(
    ask: Ask, threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    sharing = Sharing(2, Peaks(tmp_path / "peaks.json"), Admission(40_000_000_000))
    children = [WorkerChild("cpu", MODULES, sharing=sharing) for _ in range(2)]
    try:
        children[1].analyse(ask("zoo-tame"))
        slow = ask("zoo-slow", told=str(tmp_path / "begun"))
        slow = replace(slow, inputs={"ct": Volume(np.ones((8, 8, 512), np.int16), np.eye(4), "CT")})
        first = threads.submit(children[0].analyse, slow)
        _begun(tmp_path / "begun", first)
        children[1].analyse(ask("zoo-tame"))
        assert not first.done()
        assert first.result().network_seconds == 0  # a plain function is no network
    finally:
        for one in children:
            one.close()
    learned = {name for name, _, peak in Peaks(tmp_path / "peaks.json").rows() if peak.host_bytes}
    assert learned == {"zoo-slow auto fp32", "zoo-tame auto fp32"}


def test_a_child_that_takes_memory_without_end_is_stopped_at_its_limit(ask: Ask) -> None:
    child = WorkerChild("cpu", MODULES, limit_bytes=3_000_000_000)
    try:
        with pytest.raises(OutOfMemoryError, match=r"more than its 3\.0 GB"):
            child.analyse(ask("zoo-grows"))
        _next_succeeds(child, ask)
    finally:
        child.close()


def test_memory_that_does_not_suffice_is_spent_in_smaller_steps_and_told(
    child: WorkerChild, ask: Ask
) -> None:
    for _ in range(2):  # the second time it begins where the first ended
        run = child.analyse(ask("zoo-short"))
        assert run.findings.segments[0].mask.sum() == 255
        told = run.computed.get("memory", "")
        assert told in ("2 windows at a time; one window at a time", "")
    assert told == ""


def test_how_networks_were_computed_is_told(child: WorkerChild, ask: Ask) -> None:
    request = replace(ask("zoo-short"), terms=Terms(engine="channels_last"))
    computed = child.analyse(request).computed
    assert computed["precision"] == "fp32"
    assert computed["engine"] == "channels_last"
    assert computed["windows"] == "8 of 8"


def test_peak_memory_is_measured(child: WorkerChild, ask: Ask) -> None:
    assert child.analyse(ask("zoo-tame")).host_peak_bytes > 50_000_000


def test_a_child_that_leaks_is_replaced_between_runs(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "LEAK_BYTES", 100_000_000)
    child = WorkerChild("cpu", MODULES)
    try:
        children = set()
        for _ in range(5):
            child.analyse(ask("zoo-leaks"))
            children.add(child.process_id)
        assert len(children) == 2
    finally:
        child.close()


def test_a_child_is_replaced_after_many_runs(
    child: WorkerChild, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    _next_succeeds(child, ask)
    before = child.process_id
    monkeypatch.setattr(leaks, "JOBS_BEFORE_REPLACEMENT", 1)
    _next_succeeds(child, ask)
    _next_succeeds(child, ask)
    assert child.process_id != before


def test_an_urgent_run_comes_between_the_windows_of_another(
    child: WorkerChild, ask: Ask, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    ended: list[str] = []
    routine = threads.submit(child.analyse, ask("zoo-slow", told=str(tmp_path / "begun")))
    routine.add_done_callback(lambda _run: ended.append("routine"))
    _begun(tmp_path / "begun", routine)
    urgent = child.analyse(ask("zoo-tame", urgent=True))
    ended.append("urgent")
    assert routine.result().findings.segments[0].mask.sum() == 255
    assert urgent.findings.segments[0].mask.sum() == 255
    assert ended == ["urgent", "routine"]


def test_an_urgent_run_of_the_same_analysis_has_an_instance_of_its_own(
    child: WorkerChild, ask: Ask, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    settings = {"told": str(tmp_path / "begun")}
    routine = threads.submit(child.analyse, ask("zoo-slow", **settings))
    _begun(tmp_path / "begun", routine)
    assert child.analyse(ask("zoo-slow", urgent=True, **settings)).findings.segments[0].mask.any()
    assert routine.result().findings.segments[0].mask.sum() == 255


def test_the_fault_of_an_urgent_run_costs_the_other_nothing(
    child: WorkerChild, ask: Ask, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    routine = threads.submit(child.analyse, ask("zoo-slow", told=str(tmp_path / "begun")))
    _begun(tmp_path / "begun", routine)
    with pytest.raises(ChildCrashedError, match="SIGSEGV"):
        child.analyse(ask("zoo-segfaults", urgent=True))
    assert routine.result().findings.segments[0].mask.sum() == 255


def test_who_waits_when_the_child_dies_is_asked_again(
    child: WorkerChild, ask: Ask, threads: ThreadPoolExecutor
) -> None:
    guilty = threads.submit(child.analyse, ask("zoo-hangs", seconds=2))
    waiting = [threads.submit(child.analyse, ask("zoo-tame")) for _ in range(2)]
    assert isinstance(guilty.exception(), ChildTimeoutError)
    assert all(one.result().findings.segments[0].mask.sum() == 255 for one in waiting)


def test_waiting_for_ones_turn_does_not_count_towards_the_time_limit(
    child: WorkerChild, ask: Ask, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    first = threads.submit(child.analyse, ask("zoo-hangs", seconds=6))
    _until(lambda: child.busy)
    second = child.analyse(ask("zoo-tame", seconds=5))
    assert isinstance(first.exception(), ChildTimeoutError)
    assert second.findings.segments[0].mask.sum() == 255


def test_a_draining_child_finishes_what_it_began_and_gives_the_rest_back(
    ask: Ask, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    child = WorkerChild("cpu", MODULES)
    try:
        running = threads.submit(child.analyse, ask("zoo-slow", told=str(tmp_path / "begun")))
        _begun(tmp_path / "begun", running)
        waiting = threads.submit(child.analyse, ask("zoo-tame"))
        _until(lambda: len(child._tickets) == 2)
        child.drain()
        assert isinstance(waiting.exception(), WithdrawnError)
        assert running.result().findings.segments[0].mask.sum() == 255
        with pytest.raises(WithdrawnError):
            child.analyse(ask("zoo-tame"))
    finally:
        child.close()


def test_closing_a_child_ends_whoever_waits_for_it(ask: Ask, threads: ThreadPoolExecutor) -> None:
    child = WorkerChild("cpu", MODULES)
    running = threads.submit(child.analyse, ask("zoo-hangs"))
    _until(lambda: bool(child._begun))
    child.close()
    assert isinstance(running.exception(timeout=10), ChildCrashedError)
    assert threading.active_count() < 50


def _until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.01)
