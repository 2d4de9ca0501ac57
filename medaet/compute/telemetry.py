"""What NVIDIA's management library tells of a GPU (extra `gpu`): its driver, and how it is doing."""

import contextlib
import importlib.util
from types import ModuleType

import torch

Told = dict[str, str | int | float]

SLOWED = 0x08 | 0x20 | 0x40 | 0x80
"""What NVML calls HwSlowdown, SwThermalSlowdown, HwThermalSlowdown and HwPowerBrakeSlowdown. That a GPU is idle, that
its clocks were set by hand or that it keeps within its usual power is no fault."""


def telemetry(device: torch.device) -> Told:
    """Ask about a GPU now; empty for other devices, and where the library is not installed or not allowed.

    Returns:
        "driver", "used_bytes", "utilisation_percent", "temperature_celsius", "power_watts", "throttled", as far as
        the GPU tells them.
    """
    if device.type != "cuda" or importlib.util.find_spec("pynvml") is None:
        return {}
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        uuid = torch.cuda.get_device_properties(device).uuid  # CUDA's numbers are not NVML's
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        return _asked(pynvml, handle)
    except pynvml.NVMLError:
        return {}
    finally:
        pynvml.nvmlShutdown()


def _asked(nvml: ModuleType, handle: object) -> Told:
    questions = {
        "driver": nvml.nvmlSystemGetDriverVersion,
        "used_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
        "utilisation_percent": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        "temperature_celsius": lambda: nvml.nvmlDeviceGetTemperature(
            handle, nvml.NVML_TEMPERATURE_GPU
        ),
        "power_watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "throttled": lambda: int(
            bool(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle) & SLOWED)
        ),
    }
    told: Told = {}
    for name, ask in questions.items():
        with contextlib.suppress(nvml.NVMLError):
            told[name] = ask()
    return told
