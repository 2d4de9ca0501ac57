"""The worker child against a zoo of plugins: each trouble costs one run, and the next one works."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medaet import Volume
from medaet.errors import (
    AnalysisError,
    ChildCrashedError,
    ChildTimeoutError,
    FindingsError,
    LeaseLostError,
)
from medaet.worker.child import WorkerChild
from medaet.worker.request import Request, Run


@pytest.fixture(scope="module")
def child() -> Iterator[WorkerChild]:
    one = WorkerChild("cpu", ["medaet.testing.plugin_zoo"])
    yield one
    one.close()


@pytest.fixture
def volume() -> Volume:
    voxels = np.arange(-30, 30, dtype=np.int16).reshape(3, 4, 5)
    return Volume(voxels, np.diag([2.0, 3.0, 4.0, 1.0]), "CT")


def _run(child: WorkerChild, name: str, volume: Volume, where: Path, seconds: float = 60.0) -> Run:
    return child.analyse(_request(name, volume, where, seconds))


def _request(
    name: str, volume: Volume, where: Path, seconds: float = 60.0, *, urgent: bool = False
) -> Request:
    return Request(
        analysis=name,
        settings={},
        inputs={"ct": volume},
        where=where / f"findings of {name}",
        seconds=seconds,
        urgent=urgent,
    )


def _tame_still_works(child: WorkerChild, volume: Volume, where: Path) -> None:
    assert _run(child, "zoo-tame", volume, where).findings.segments[0].mask.sum() == 29


def test_child_returns_findings_with_measured_volume(
    child: WorkerChild, volume: Volume, tmp_path: Path
) -> None:
    findings = _run(child, "zoo-tame", volume, tmp_path).findings
    assert np.array_equal(findings.segments[0].mask, volume.voxels > 0)
    assert findings.measurements[0].value == pytest.approx(29 * 24 / 1000)


def test_child_stays_warm_between_runs(child: WorkerChild, volume: Volume, tmp_path: Path) -> None:
    _run(child, "zoo-tame", volume, tmp_path)
    before = child.process_id
    _run(child, "zoo-tame", volume, tmp_path)
    assert child.process_id == before


def test_a_child_goes_on_with_less_memory_when_others_come(
    child: WorkerChild, volume: Volume, tmp_path: Path
) -> None:
    _run(child, "zoo-tame", volume, tmp_path)
    before = child.process_id
    child.hold(0.25)
    _tame_still_works(child, volume, tmp_path)
    assert child.process_id == before


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("zoo-raises", AnalysisError, "ValueError"),
        ("zoo-aborts", ChildCrashedError, "SIGABRT"),
        ("zoo-exits", ChildCrashedError, "exit status 0"),
        ("zoo-wrong-shape", FindingsError, "shape"),
        ("zoo-nan", FindingsError, "finite"),
    ],
)
def test_trouble_costs_one_run(  # one case for each animal
    child: WorkerChild,
    volume: Volume,
    tmp_path: Path,
    name: str,
    error: type[AnalysisError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        _run(child, name, volume, tmp_path)
    _tame_still_works(child, volume, tmp_path)


def test_error_does_not_quote_what_the_plugin_said(
    child: WorkerChild, volume: Volume, tmp_path: Path
) -> None:
    with pytest.raises(AnalysisError) as caught:
        _run(child, "zoo-raises", volume, tmp_path)
    assert "Doe" not in str(caught.value)


def test_child_is_killed_with_its_processes_at_the_time_limit(
    child: WorkerChild, volume: Volume, tmp_path: Path
) -> None:
    _run(child, "zoo-tame", volume, tmp_path)
    group = child.process_id
    started = time.monotonic()
    with pytest.raises(ChildTimeoutError, match="time limit of 1 s"):
        _run(child, "zoo-hangs", volume, tmp_path, seconds=1)
    assert time.monotonic() - started < 10
    left = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, check=False)
    assert not [state for state in left.stdout.split() if not state.startswith(b"Z")]
    _tame_still_works(child, volume, tmp_path)


def test_a_lost_lease_ends_the_run(child: WorkerChild, volume: Volume, tmp_path: Path) -> None:
    def lost() -> None:
        raise LeaseLostError("taken")

    with pytest.raises(LeaseLostError):
        child.analyse(_request("zoo-hangs", volume, tmp_path, 20), on_alive=lost)
    _tame_still_works(child, volume, tmp_path)


def test_child_has_no_network_and_no_configuration(
    child: WorkerChild, volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child.close()
    monkeypatch.setenv("MEDAET_DATABASE__URL", "sqlite:///secret.db")
    remarks = _run(child, "zoo-connects", volume, tmp_path).findings.remarks
    assert list(remarks) == ["unreachable" if child.network_cut else "reached"]


@pytest.mark.skipif(os.geteuid() != 0, reason="cutting the network needs root or user namespaces")
def test_network_is_cut_for_root(child: WorkerChild, volume: Volume, tmp_path: Path) -> None:
    _run(child, "zoo-tame", volume, tmp_path)
    assert child.network_cut
