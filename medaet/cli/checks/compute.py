"""Checks of torch and the devices, made in a process of its own: this one never loads torch."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from medaet.cli.checks.line import Line, fail, ok, warn
from medaet.config.model import Config

PROBE_SECONDS = 180
LARGEST_ERROR = 2e-3
"""Relative; TF32 on recent GPUs rounds to eleven bits."""


def check_compute(config: Config) -> Iterator[Line]:
    """Compute something on each configured device, and compare it."""
    wanted = config.worker.devices
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "medaet.compute.probe",
            *names,
            *config.worker.training_devices,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=PROBE_SECONDS,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        yield fail("torch", last, "pip install 'medaet[torch]' with the build for this host")
        return
    found = json.loads(done.stdout)
    yield _torch(found)
    for device in found["devices"]:
        yield _device(device)


def _torch(found: dict[str, Any]) -> Line:
    built = (
        f"CUDA {found['cuda']}"
        if found["cuda"]
        else f"ROCm {found['hip']}"
        if found["hip"]
        else "CPU"
    )
    told = f"{found['torch']}, built for {built}"
    if built == "CPU" and shutil.which("nvidia-smi"):
        return warn(
            "torch", f"{told}, but this host has an NVIDIA GPU", "install a CUDA build of torch"
        )
    return ok("torch", told)


def _device(device: dict[str, Any]) -> Line:
    subject = f"device {device['name']}"
    if "error" in device:
        return fail(subject, device["error"], "mend worker.devices, or the driver (nvidia-smi)")
    told = device["title"]
    if "total_bytes" in device:
        told += f", {device['free_bytes'] / 1e9:.1f} of {device['total_bytes'] / 1e9:.1f} GB free"
    told += f", computes to {device['largest_error']:.0e}"
    if device["largest_error"] > LARGEST_ERROR:
        return fail(
            subject, told, "the device computes wrongly: update driver and torch, test its memory"
        )
    return ok(subject, told)
