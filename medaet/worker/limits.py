"""How much memory a child may take, and what it tells about what it took."""

import contextlib
import os
import resource
import threading
from pathlib import Path

OUT_OF_MEMORY = 70
DEVICE_FAILED = 71
OVER_LIMIT = 72
"""Exit statuses of a child that must not go on."""
WATCH_SECONDS = 0.1
FIRST_TO_GO = "1000"

_STATUS = Path("/proc/self/status")
_GROUP = Path("/sys/fs/cgroup/memory.max")


def host_bytes() -> int:
    """Return how much memory this process could ever use: the host's, or its control group's if that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        return min(total, int(_GROUP.read_text()))  # "max" where there is no limit
    return total


def available_bytes() -> int:
    """Return how much memory could be taken now without swapping (proc(5), MemAvailable)."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return host_bytes()


def limit_memory(limit_bytes: int, *, hard: bool) -> None:
    """Keep this process below a limit, and let the kernel end it before any other when the host runs out.

    Args:
        limit_bytes: 0 for none.
        hard: Let allocations fail at the limit, which a plugin may survive; GPU drivers reserve far more address
            space than they use, so where one is loaded only the memory in use is watched.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    if not limit_bytes:
        return
    if hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))
    threading.Thread(target=_watch, args=(limit_bytes,), name="memory", daemon=True).start()


def resident_bytes() -> int:
    """Return the memory this process holds now."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """Return the most memory this process held since `forget_peak`."""
    return _status("VmHWM")


def forget_peak() -> None:
    """Let the peak start anew from what is held now (proc(5), clear_refs)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _watch(limit_bytes: int) -> None:
    waiting = threading.Event()
    while not waiting.wait(WATCH_SECONDS):
        if resident_bytes() > limit_bytes:
            os._exit(OVER_LIMIT)


def _status(key: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return 0
