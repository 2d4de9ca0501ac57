"""The devices of this host, and the children that own them; torch is only asked in processes of its own."""

import subprocess
import sys

from medaet.config.model import Config
from medaet.errors import ConfigError
from medaet.worker.admission import Admission
from medaet.worker.children import Children
from medaet.worker.limits import host_bytes
from medaet.worker.peaks import Peaks, peaks_file
from medaet.worker.sharing import DEVICE_SHARE, Sharing


def devices(config: Config) -> list[str]:
    """Name the devices to work on; asked in a process of its own, since only that one may load torch."""
    wanted, kept = config.worker.devices, config.worker.training_devices
    if wanted != "auto":
        named = [wanted] if isinstance(wanted, str) else wanted
        return [name for name in named if name not in kept]
    script = "from medaet.compute.device import devices; print(*devices('auto'))"
    return [name for name in _answered(script).split() if name not in kept]


def children(config: Config, device: str) -> list[Children]:
    """Prepare the children of a device; each starts when it is first needed."""
    limit_bytes = int(config.worker.memory_fraction * host_bytes())
    sharing = Sharing(
        config.worker.children_per_device,
        Peaks(peaks_file(config.cache_path, device)),
        Admission(limit_bytes, int(DEVICE_SHARE * _device_bytes(device))),
    )
    return [
        Children(
            device,
            models=config.models_path,
            cache=config.cache_path,
            limit_bytes=limit_bytes,
            sharing=sharing,
            hooks=config.hooks.plugins,
        )
        for _ in range(sharing.children)
    ]


def _device_bytes(device: str) -> int:
    """Ask how much memory a device has of its own, in a process of its own; 0 for a CPU."""
    if device == "cpu":
        return 0
    script = f"from medaet.compute.device import memory_bytes; print(memory_bytes({device!r}))"
    return int(_answered(script) or 0)


def _answered(script: str) -> str:
    """Run a line that needs torch in a process of its own, and return what it prints."""
    found = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if found.returncode:
        raise ConfigError(
            "worker.devices: torch cannot be used on this host; install medaet[torch] "
            f"({(found.stderr.strip().splitlines() or ['no message'])[-1]})"
        )
    return found.stdout
