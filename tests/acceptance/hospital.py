"""Steps of the acceptance tests: processes of a running site, found and killed by id, and what the PACS holds."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pydicom

from medaet.demo.site import Site


def process_ids(root: int, *words: str) -> list[int]:
    """Find the descendants of a process whose command line holds every one of the words."""
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            commands[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it ended while we looked
            continue
        parents[int(entry.name)] = int(fields[1])
    return [
        one
        for one, command in commands.items()
        if _descends(one, root, parents) and all(word in command for word in words)
    ]


def kill(site: Site, victim: str) -> bool:
    """Kill one kind of process of the daemon with SIGKILL; say whether there was one."""
    assert site.daemon is not None
    if victim == "daemon":
        site.daemon.kill()
        site.daemon.wait()
        return True
    words = {
        "child": ("medaet.worker.main",),
        "agent": ("medaet_daemon", "--role worker"),
        "pipeline": ("medaet_daemon", "--role pipeline"),
        "receiver": ("medaet_daemon", "--role receive"),
    }[victim]
    found = process_ids(site.daemon.pid, *words)
    for one in found:
        os.kill(one, signal.SIGKILL)
    return bool(found)


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something to become true, or fail saying what did not."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def objects_by_study(archive: Path) -> Counter[tuple[str, str]]:
    """Count what the PACS holds: (Study Instance UID, Modality)."""
    held: Counter[tuple[str, str]] = Counter()
    for path in archive.glob("*.dcm"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        held[str(dataset.StudyInstanceUID), str(dataset.Modality)] += 1
    return held


def _descends(one: int, root: int, parents: dict[int, int]) -> bool:
    while one in parents:
        one = parents[one]
        if one == root:
            return True
    return False
