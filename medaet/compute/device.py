"""The devices of this host, and how many threads one process takes on a CPU."""

import contextlib
import os
from collections.abc import Iterator

import torch

from medaet.errors import ConfigError

MAXIMUM_THREADS = 8


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


def limit_threads() -> int:
    """Keep torch to the cores this process may use, and return their number."""
    threads = min(len(os.sched_getaffinity(0)), MAXIMUM_THREADS)
    torch.set_num_threads(threads)
    return threads


@contextlib.contextmanager
def fresh() -> Iterator[None]:
    """Let a run begin in the middle of another as if it stood alone: torch's modes are those of the thread."""
    with torch.inference_mode(mode=False):
        yield
