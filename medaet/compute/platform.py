"""What figures were measured on: the device's name, and the versions of what computes."""

from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "openvino")


def versions() -> dict[str, str]:
    """Return the version of each package that can run networks."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def title(device: torch.device) -> str:
    """Name a device as its maker does, such as "NVIDIA H100 80GB HBM3"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor() if device.type == "cpu" else device.type


def platform(device: torch.device) -> dict[str, str]:
    """Say what a figure measured here holds for."""
    return {"device": title(device), **versions()}


def _processor() -> str:
    """Name the processor (proc(5), cpuinfo)."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return "CPU"
