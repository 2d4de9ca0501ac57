"""`medaet run --watch`: an edit of the plugin's file is followed by a run of the new code."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medaet.cli.watch import signature, sources
from medaet.plugin.registry import discover
from medaet.testing.phantom import write_series

PLUGIN = """
from medaet import Analysis, Findings, SeriesSelector, hookimpl

class Says(Analysis):
    name, version = "says", "1"
    inputs = {"ct": SeriesSelector(modality="CT", min_slices=4)}

    def analyse(self, inputs, runtime):
        return Findings(remarks=["WORD"])

@hookimpl
def medaet_analyses():
    return [Says]
"""
SECONDS = 120


def written(folder: Path, word: str) -> Path:
    path = folder / "says_plugin.py"
    path.write_text(PLUGIN.replace("WORD", word))
    return path


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    written(tmp_path, "first")
    write_series(tmp_path / "ct")
    command = [
        sys.executable,
        "-m",
        "medaet",
        "run",
        "says",
        str(tmp_path / "ct"),
        "--out",
        str(tmp_path / "out"),
    ]
    command += ["--module", "says_plugin", "--watch"]
    # Ctrl-C must reach it also where a shell runs the tests in the background, which ignores SIGINT for all below it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "MEDAET_SPOOL__PATH": str(tmp_path / "spool"), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    with process:
        yield process
        process.kill()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def line_with(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    pytest.fail(f"it ended without {words!r}")


@pytest.mark.slow
def test_an_edit_is_followed_by_a_run_of_the_new_code(
    running: subprocess.Popen[str], tmp_path: Path
) -> None:
    def remark() -> object:
        try:
            return json.loads((tmp_path / "out" / "findings.json").read_text())["remarks"]
        except (OSError, ValueError):
            return None

    line_with(running, "waiting for a change of says_plugin.py")
    assert remark() == ["first"]
    (tmp_path / "says_plugin.py").write_text("this is no Python")
    line_with(running, "says_plugin")  # the reason, and no end
    written(tmp_path, "second")
    until(lambda: remark() == ["second"])
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 0


def test_what_is_watched_is_the_package_of_a_plugin_or_the_folder_of_a_model() -> None:
    (root,) = sources(discover().analyses["brain-mr"])
    assert root.name == "medaet_plugins"


def test_a_signature_changes_with_files_and_not_with_caches(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("1")
    before = signature([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "one.pyc").write_text("1")
    (tmp_path / ".one.py.swp").write_text("1")
    assert signature([tmp_path]) == before
    (tmp_path / "one.py").write_text("22")
    changed = signature([tmp_path])
    assert changed != before
    (tmp_path / "one.py").unlink()
    assert signature([tmp_path]) not in (before, changed)
