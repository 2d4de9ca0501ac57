"""What torch can do on this host, told as JSON to processes that must not load torch.

    python -P -m medaet.compute.probe auto
    python -P -m medaet.compute.probe cuda:0 cuda:1

Each device computes a convolution that is compared with the same one in double precision on the CPU.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional

from medaet.compute.device import devices
from medaet.compute.platform import platform, title
from medaet.compute.telemetry import telemetry

_MEMORY = Path("/proc/meminfo")
IMAGE = (1, 4, 24, 32, 32)
KERNEL = (8, 4, 3, 3, 3)


def probe(names: Sequence[str]) -> dict[str, object]:
    """Compute on each device.

    Args:
        names: In torch's spelling; "auto" for all that inference would use.

    Returns:
        torch's version, what it is built for, and one entry for each device.
    """
    wanted = [one for name in names for one in (devices("auto") if name == "auto" else [name])]
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "devices": [_device(name) for name in wanted],
    }


def _device(name: str) -> dict[str, object]:
    try:
        device = torch.device(name)
        return {
            "name": name,
            "title": _title(name),
            "platform": platform(device),
            "telemetry": telemetry(device),
            **_memory(name),
            **_computed(name),
        }
    except (RuntimeError, AssertionError) as error:
        return {"name": name, "error": str(error).partition("\n")[0]}


def _title(name: str) -> str:
    found = title(torch.device(name))
    return f"{found}, {torch.get_num_threads()} threads" if name == "cpu" else found


def _memory(name: str) -> dict[str, object]:
    if name == "cpu":
        told = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines())
        free, total = (1024 * int(told[key].split()[0]) for key in ("MemAvailable", "MemTotal"))
        return {"free_bytes": free, "total_bytes": total}
    if not name.startswith("cuda"):
        return {}
    free, total = torch.cuda.mem_get_info(name)
    return {"free_bytes": free, "total_bytes": total}


def _computed(name: str) -> dict[str, object]:
    """Convolve on the device and in double precision on the CPU; say how far they are apart, and how long it took."""
    generator = torch.Generator().manual_seed(7)
    image = torch.randn(IMAGE, generator=generator, dtype=torch.float64)
    kernel = torch.randn(KERNEL, generator=generator, dtype=torch.float64)
    exact = functional.conv3d(image, kernel, padding=1)
    started = time.monotonic()
    found = functional.conv3d(image.float().to(name), kernel.float().to(name), padding=1).cpu()
    seconds = time.monotonic() - started
    error = float((found.double() - exact).abs().max() / exact.abs().max())
    return {"largest_error": error, "seconds": round(seconds, 3)}


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1:] or ["auto"])))  # noqa: T201 -- its output is the answer
