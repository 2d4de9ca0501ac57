"""Checks of torch and the devices, made in a process of its own: this one never loads torch."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from medaet.cli.checks.line import Line, fail, ok, warn
from medaet.config.model import Config
from medaet.plugin.certificate import CertificateStore
from medaet.plugin.registry import discover
from medaet.worker.peaks import Peak, Peaks, peaks_file
from medaet.worker.terms import TermsOf

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
        yield from _peaks(config, device["name"])
    inference = [
        one for one in found["devices"] if one["name"] not in config.worker.training_devices
    ]
    yield from _precisions(config, [one for one in inference if "platform" in one])


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
    told += f", computes to {device['largest_error']:.0e} in {device['seconds']:.2f} s"
    told += "".join(f", {words}" for words in _telemetry(device["telemetry"]))
    if device["largest_error"] > LARGEST_ERROR:
        return fail(
            subject, told, "the device computes wrongly: update driver and torch, test its memory"
        )
    if device["telemetry"].get("throttled"):
        return warn(subject, told, "the GPU slows itself down: look at its power and cooling")
    return ok(subject, told)


def _telemetry(told: dict[str, Any]) -> Iterator[str]:
    """Say how a GPU is doing, as far as NVIDIA's library tells."""
    if "driver" in told:
        yield f"driver {told['driver']}"
    if "utilisation_percent" in told:
        yield f"{told['utilisation_percent']} % busy"
    if "temperature_celsius" in told:
        yield f"{told['temperature_celsius']} degrees"
    if "power_watts" in told:
        yield f"{told['power_watts']:.0f} W"


def _peaks(config: Config, device: str) -> Iterator[Line]:
    """Say what runs took there, for the largest volumes seen."""
    largest: dict[str, tuple[int, Peak]] = {}
    for name, number, peak in Peaks(peaks_file(config.cache_path, device)).rows():
        largest[name] = (number, peak)
    for name, (number, peak) in largest.items():
        told = f"up to {peak.host_bytes / 1e9:.1f} GB of host"
        told += f", {peak.device_bytes / 1e9:.1f} GB of device" if peak.device_bytes else ""
        voxels = f"{(1 << number) / 1e6:.0f} million voxels"
        yield ok(f"memory {name.split()[0]}", f"{told} memory on {device}, measured up to {voxels}")


def _precisions(config: Config, devices: list[dict[str, Any]]) -> Iterator[Line]:
    """Say which reduced precisions are certified where they would be used."""
    registry = discover(models=config.models_path)
    terms_of = TermsOf(config.compute, registry, CertificateStore(config.certificates_path))
    for name, wanted in config.compute.items():
        for precision in sorted(
            {wanted.precision, wanted.spare_precision} - {"fp32", None}, key=str
        ):
            for device in devices:
                refusal = terms_of.refusal(name, precision, device["platform"])
                subject, where = f"precision {name}", f"{precision} on {device['name']}"
                if refusal:
                    reason, _, remedy = refusal.partition("; ")
                    yield warn(subject, f"{where} is not used: {reason}", remedy)
                else:
                    yield ok(subject, f"{where}, certified")
