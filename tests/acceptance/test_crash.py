"""SIGKILL anywhere loses nothing and sends nothing twice."""

from functools import partial
from pathlib import Path

import pytest

from medaet.demo.outcome import Watch
from medaet.demo.run import SCANS, await_daemon
from medaet.demo.scans import write_scan
from medaet.demo.site import Site, site
from tests.acceptance.hospital import kill, objects_by_study, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

FINISH_SECONDS = 200
NO_CHOICE = "".join(f'\n[compute.{name}]\nengine = "eager"\n' for name in ("chest-ct", "brain-mr"))
"""What is killed here are jobs; engines are compared elsewhere."""


def _reached(watch: Watch, states: tuple[str, ...]) -> bool:
    return any(one.startswith(states) for one in watch.states().values())


def _open(one: Site) -> None:
    one.config_file.write_text(one.config_file.read_text(encoding="utf-8") + NO_CHOICE)
    one.start_pacs()
    one.start_daemon()
    assert await_daemon(one)


def _started(folder: Path, one: Site) -> Watch:
    _open(one)
    sending = [one.scan(write_scan(name, folder / name)[0].parent) for name in SCANS]
    assert [process.wait(60) for process in sending] == [0, 0]
    return Watch(one.config)


def _all_came_back_once(one: Site, watch: Watch) -> None:
    wait_until(lambda: watch.finished(len(SCANS)), FINISH_SECONDS, "both studies finish")
    assert all(outcome.complete for outcome in watch.outcomes(one.archive))
    held = objects_by_study(one.archive)
    assert len(held) == 4
    assert set(held.values()) == {1}
    assert {modality for _, modality in held} == {"SEG", "SR"}


@pytest.mark.parametrize("victim", ["child", "agent"])
def test_killing_a_worker_process_while_it_analyses_loses_nothing(
    tmp_path: Path, victim: str
) -> None:
    with site(tmp_path / "site") as one:
        watch = _started(tmp_path, one)
        wait_until(partial(_reached, watch, ("leased",)), 60, "a job is leased")
        wait_until(lambda: kill(one, victim), 30, f"the {victim} can be killed")
        _all_came_back_once(one, watch)
        watch.close()


def test_killing_the_daemon_at_three_moments_loses_nothing(tmp_path: Path) -> None:
    with site(tmp_path / "site") as one:
        watch = _started(tmp_path, one)
        for states in (("leased", "analysed", "done"), ("analysed", "encoding", "done"), ("done",)):
            wait_until(partial(_reached, watch, states), FINISH_SECONDS, f"a job is {states[0]}")
            kill(one, "daemon")
            one.start_daemon()
        _all_came_back_once(one, watch)
        watch.close()


def test_killing_the_daemon_while_it_receives_loses_nothing_that_was_answered(
    tmp_path: Path,
) -> None:
    """The scanner keeps what was not answered, and sends the series again, as scanners do."""
    with site(tmp_path / "site") as one:
        _open(one)
        folders = [write_scan(name, tmp_path / name)[0].parent for name in SCANS]
        sending = [one.scan(folder, pause_seconds=0.1) for folder in folders]
        stored = one.config.spool.path / "instances"
        wait_until(lambda: len(list(stored.rglob("*.dcm"))) > 10, 60, "some instances are stored")
        kill(one, "daemon")
        assert [process.wait(60) != 0 for process in sending] == [True, True]
        before = {path.name for path in stored.rglob("*.dcm")}
        one.start_daemon()
        assert await_daemon(one)
        assert {path.name for path in stored.rglob("*.dcm")} == before
        assert [one.scan(folder).wait(60) for folder in folders] == [0, 0]
        watch = Watch(one.config)
        _all_came_back_once(one, watch)
        watch.close()
