"""Stopping a process with all that it started, in whatever session, and letting all of it go on."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path


def stop(group: int) -> None:
    """Stop a process group and every process below it (SIGSTOP).

    Parents stop before their children: they start nothing more, and no number below them is given to another process,
    for a stopped parent does not reap.
    """
    _send(-group, signal.SIGSTOP)
    stopped: set[int] = set()
    while found := [one for one in _below(group) if one not in stopped]:
        for one in found:
            _send(one, signal.SIGSTOP)
        stopped.update(found)


def go_on(group: int) -> None:
    """Let a stopped group and every process below it go on, children first: a parent finds their answers."""
    for one in reversed(list(_below(group))):
        _send(one, signal.SIGCONT)
    _send(-group, signal.SIGCONT)


def _below(ancestor: int) -> Iterator[int]:
    """List the descendants of a process, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has just ended
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    waiting = [ancestor]
    while waiting:
        below = children.get(waiting.pop(0), [])
        yield from below
        waiting += below


def _send(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)
