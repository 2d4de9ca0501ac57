"""A folder of received instances: names, and one sync for all who wait for theirs."""

import errno
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from medaet.store.folder import FILES_A_FOLDER, Folder


class Later(Executor):
    """Runs what it is given when it is told to."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Future[Any], Callable[..., object]]] = []

    def submit(self, fn: Callable[..., Any], /, *_: object, **__: object) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, fn))
        return future

    def run(self) -> int:
        """Run what waits; return how much that was."""
        waiting, self._waiting = self._waiting, []
        for future, work in waiting:
            try:
                future.set_result(work())
            except OSError as error:
                future.set_exception(error)
        return len(waiting)


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def folder(tmp_path: Path, later: Later) -> Folder:
    return Folder(tmp_path, "instances/ab", later)


def test_names_are_numbers_until_the_folder_is_full(folder: Folder) -> None:
    names = [folder.next_name() for _ in range(FILES_A_FOLDER)]
    assert (names[0], names[-1]) == ("0001.dcm", "1000.dcm")
    assert folder.next_name() is None


def test_those_who_come_before_a_sync_begins_share_it(folder: Folder, later: Later) -> None:
    first, second = folder.begin_sync(), folder.begin_sync()
    assert not first.done()
    assert later.run() == 1
    assert first is second
    assert first.result() is None


def test_one_who_comes_after_it_began_gets_another(
    folder: Folder, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Future[None]] = []
    monkeypatch.setattr(os, "fsync", lambda _: late.append(folder.begin_sync()))
    first = folder.begin_sync()
    later.run()
    assert first.done()
    assert not late[0].done()


def test_all_who_share_a_sync_hear_that_it_failed(
    folder: Folder, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "I/O")

    monkeypatch.setattr(os, "fsync", fail)
    waiting = [folder.begin_sync() for _ in range(3)]
    later.run()
    assert all(isinstance(one.exception(), OSError) for one in waiting)
