"""The devices of this host, and how many threads one process takes on a CPU."""

import contextlib
import ctypes
import os
from collections.abc import Iterator

import torch

from medaet.errors import ConfigError

MAXIMUM_THREADS = 8

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""

KEPT_BYTES = 2**28
"""What is larger is a whole scan, not a patch, and goes back to the kernel."""


def devices(wanted: str) -> list[str]:
    """Name the devices to compute on.

    Args:
        wanted: "auto" for every GPU, or the CPU where there is none; else one name in torch's spelling.
    """
    if wanted != "auto":
        return [checked(wanted)]
    if torch.cuda.is_available():
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["mps"] if torch.backends.mps.is_available() else ["cpu"]


def checked(name: str) -> str:
    """Return the name of a device that exists here.

    Raises:
        ConfigError: torch does not know the name, or this host has no such device.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"worker.devices: {name!r} cannot be used on this host; `medaet doctor` lists the devices"
        ) from error
    return str(device)


def memory_bytes(name: str) -> int:
    """Return how much memory a device has of its own; 0 where it uses the host's."""
    return int(torch.cuda.mem_get_info(name)[1]) if name.startswith("cuda") else 0


def limit_threads() -> int:
    """Keep torch to the cores this process may use, and return their number."""
    threads = min(len(os.sched_getaffinity(0)), MAXIMUM_THREADS)
    torch.set_num_threads(threads)
    return threads


def keep_memory() -> None:
    """Let this process keep the memory that it frees, where the C library is GNU's.

    A training step takes and frees the same tensors as the step before. Handed back to the kernel and taken again, each
    of their pages is cleared anew: a tenth of the processor's time, and traffic that other processes wait for.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        if not libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES):  # older ones keep no more than this
            libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@contextlib.contextmanager
def fresh() -> Iterator[None]:
    """Let a run begin in the middle of another as if it stood alone: torch's modes are those of the thread."""
    with torch.inference_mode(mode=False):
        yield
