"""What NVIDIA's library tells of a GPU, by a stand-in for the library: no machine of the tests has a GPU."""
# ruff: noqa: N802 -- the names are the library's

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
import torch

from medaet.compute.telemetry import telemetry

UUID = "8a1f6c2e"
GPU = torch.device("cuda:0")


class Nvml(ModuleType):
    """The library's functions that are asked; `throttle` is what it says of the clocks."""

    NVMLError = type("NVMLError", (Exception,), {})
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, throttle: int = 0) -> None:
        super().__init__("pynvml")
        self.__spec__ = ModuleSpec("pynvml", None)
        self.throttle = throttle
        self.open = 0

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid != f"GPU-{UUID}":
            raise self.NVMLError
        return uuid

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06"

    def nvmlDeviceGetMemoryInfo(self, _handle: str) -> SimpleNamespace:
        return SimpleNamespace(used=3_000_000_000)

    def nvmlDeviceGetUtilizationRates(self, _handle: str) -> SimpleNamespace:
        return SimpleNamespace(gpu=87)

    def nvmlDeviceGetTemperature(self, _handle: str, _sensor: int) -> int:
        return 61

    def nvmlDeviceGetPowerUsage(self, _handle: str) -> int:
        raise self.NVMLError  # some cards do not say

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, _handle: str) -> int:
        return self.throttle


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _device: SimpleNamespace(uuid=UUID)
    )


@pytest.mark.usefixtures("card")
def test_a_gpu_tells_what_it_can_and_the_library_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert telemetry(GPU) == {
        "driver": "580.65.06",
        "used_bytes": 3_000_000_000,
        "utilisation_percent": 87,
        "temperature_celsius": 61,
        "throttled": 0,
    }
    assert library.open == 0


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(
    ("reasons", "told"),
    [(0x01, 0), (0x02, 0), (0x04, 0), (0x08, 1), (0x20, 1), (0x40 | 0x04, 1), (0x80, 1)],
    ids=["idle", "set by hand", "usual power", "hardware", "heat", "heat and power", "brake"],
)
def test_only_what_is_a_fault_counts_as_slowed_down(
    reasons: int, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(reasons))
    assert telemetry(GPU)["throttled"] == told


def test_a_card_that_the_library_does_not_know_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _device: SimpleNamespace(uuid="another")
    )
    library = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert telemetry(GPU) == {}
    assert library.open == 0


def test_other_devices_have_no_telemetry() -> None:
    assert telemetry(torch.device("cpu")) == {}
