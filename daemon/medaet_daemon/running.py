"""Stages in threads, until a signal says stop, or that the configuration is to be read again."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from medaet.config.model import Config
from medaet_daemon import stage

STOP = (signal.SIGTERM, signal.SIGINT)

Build = Callable[[Config], AbstractContextManager[Sequence[stage.Stage]]]


class Told:
    """What this process was told by signals; the handlers only note it.

    Args:
        reloads: Whether SIGHUP means "read the configuration again"; otherwise it is left alone.
    """

    def __init__(self, *, reloads: bool = False) -> None:
        self.stopped = False
        self._reload = False
        self._woken = threading.Event()
        for number in STOP:
            signal.signal(number, self._on_stop)
        if reloads:
            signal.signal(signal.SIGHUP, self._on_reload)

    def wait(self) -> bool:
        """Wait for a signal; return whether the configuration is to be read again."""
        self._woken.wait()
        self._woken.clear()
        wanted, self._reload = self._reload, False
        return wanted and not self.stopped

    def _on_stop(self, _number: int, _frame: object) -> None:
        self.stopped = True
        self._woken.set()

    def _on_reload(self, _number: int, _frame: object) -> None:
        self._reload = True
        self._woken.set()


def run_stages(stages: Sequence[stage.Stage], ready: Callable[[], None]) -> None:
    """Run each stage in a thread until SIGTERM, then let the steps in progress end.

    Args:
        stages: What to run.
        ready: Called once when all of them run.
    """
    told = Told()
    with running(stages):
        ready()
        while not told.stopped:
            told.wait()


def run_reloading(
    config: Config,
    build: Build,
    again: Callable[[Config], Config | None],
    ready: Callable[[], None],
) -> None:
    """Run stages until SIGTERM; after SIGHUP let their steps end, and begin anew with another configuration.

    Args:
        config: To begin with.
        build: Makes the stages from a configuration, and closes what they stand on.
        again: Reads the configuration again; None when it cannot be used, and what is in force stays.
        ready: Called once when the first of them run.
    """
    told, is_first = Told(reloads=True), True
    while not told.stopped:
        with build(config) as stages, running(stages):
            if is_first:
                ready()
            is_first, other = False, None
            while other is None and not told.stopped:
                other = again(config) if told.wait() else None
        config = other or config


@contextlib.contextmanager
def running(stages: Sequence[stage.Stage]) -> Iterator[None]:
    """Run each stage in a thread; when the block ends, let the steps in progress end, and close the stages."""
    stopping = threading.Event()
    threads = [
        threading.Thread(target=stage.run, args=(one, stopping), name=one.name) for one in stages
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        _each(stages, "drain")
        for thread in threads:
            thread.join()
        _each(stages, "close")


def _each(stages: Sequence[stage.Stage], name: str) -> None:
    """Call a method of every stage that has it."""
    for one in stages:
        method = getattr(one, name, None)
        if method is not None:
            method()
