"""What a benchmark says: figures of each case, and the ratios a reader should trust more."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "monai", "openvino", "onnxruntime", "numpy", "scipy", "pydicom", "SimpleITK")


def versions() -> dict[str, str]:
    """Return the versions of what benchmarks compare, as far as it is installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Name this host's processor and how many cores this process may use."""
    title = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            title = line.partition(":")[2].strip()
            break
    return f"{title}, {len(os.sched_getaffinity(0))} cores"


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one benchmark; `medaet bench --json` prints a list of these.

    Attributes:
        benchmark: Its name on the command line.
        rows: One for each case and way: "case", "way", and figures with their unit in the name.
        ratios: By case: such as "speed_vs_monai", where more than 1 is faster than MONAI in the same run.
        versions: Of the packages that took part.
        machine: What it ran on.
    """

    benchmark: str
    rows: Sequence[Mapping[str, object]]
    ratios: Mapping[str, Mapping[str, float]]
    versions: Mapping[str, str] = field(default_factory=versions)
    machine: str = field(default_factory=machine)
