"""What happens step by step when memory does not suffice, and which errors mean that."""

import numpy as np
import pytest
import torch
from torch import nn

from medaet import Volume
from medaet.compute.failures import is_device_failure, is_out_of_memory
from medaet.compute.ladder import Rung
from medaet.compute.runtime import Runtime
from medaet.errors import OutOfMemoryError
from medaet.precision import Terms

GPU = torch.device("cuda:0")
CPU = torch.device("cpu")


def test_the_ladder_of_a_gpu_ends_on_the_cpu() -> None:
    rung, words = Rung.top(GPU, 4, "fp32"), []
    while (lower := rung.lower("bf16")) is not None:
        rung, said = lower
        words.append(said)
    assert words == [
        "2 windows at a time",
        "one window at a time",
        "logits added up in host memory",
        "computed in bf16",
        "computed on the CPU",
    ]
    assert rung == Rung(1, CPU, CPU, "fp32", last=True)


def test_the_ladder_of_a_cpu_takes_smaller_batches_and_no_precision_that_is_not_allowed() -> None:
    lower = Rung.top(CPU, 2, "fp32").lower(None)
    assert lower is not None
    assert lower[0] == Rung(1, CPU, CPU)
    assert lower[0].lower(None) is None


def test_a_batch_is_chosen_for_the_device_where_the_recipe_names_none() -> None:
    assert Rung.top(CPU, 0, "fp32").batch == 2
    assert Rung.top(GPU, 0, "fp32").batch == 4
    assert Rung.top(GPU, 2, "fp32").batch == 2


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"
        ),
    ],
)
def test_memory_errors_are_known(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_device_failure(error)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: unspecified launch failure"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
)
def test_device_errors_are_known(error: Exception) -> None:
    assert is_device_failure(error)
    assert not is_out_of_memory(error)


def test_other_errors_are_neither() -> None:
    for error in (RuntimeError("shapes do not match"), ValueError("CUDA error: quoted")):
        assert not is_device_failure(error)
        assert not is_out_of_memory(error)


class InFloats(nn.Module):
    """Fits into memory only while it is computed in halves."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 2, 1)
        nn.init.zeros_(self.layer.bias)  # type: ignore[arg-type] # a convolution has one
        with torch.no_grad():
            self.layer.weight[:, 0, 0, 0, 0] = torch.tensor([-1.0, 1.0])

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(windows)
        if logits.dtype == torch.float32:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits


def _volume() -> Volume:
    return Volume(np.arange(-32, 32, dtype=np.int16).reshape(4, 4, 4), np.eye(4), "CT")


def test_a_spare_precision_is_used_only_where_memory_demands_it_and_is_told() -> None:
    terms = Terms(engine="eager", spare_precision="bf16", spare_certificate="abc")
    runtime = Runtime("cpu", terms=terms)
    labels = runtime.segment(InFloats(), _volume(), spacing_mm=(1, 1, 1), window=(4, 4, 4), batch=1)
    assert int(labels.sum()) == 31
    assert runtime.network_seconds > 0
    told = runtime.told()
    assert told.pop("computed by")
    assert told == {
        "engine": "eager",
        "precision": "bf16",
        "windows": "1 of 1",
        "certificate": "abc",
        "memory": "computed in bf16",
    }
    assert (runtime.told(), runtime.network_seconds) == ({}, 0)


def test_without_a_spare_precision_the_run_fails() -> None:
    runtime = Runtime("cpu", terms=Terms(engine="eager"))
    with pytest.raises(OutOfMemoryError, match="one window at a time"):
        runtime.segment(InFloats(), _volume(), spacing_mm=(1, 1, 1), window=(4, 4, 4))


def test_other_errors_of_a_network_are_not_taken_for_memory() -> None:
    runtime = Runtime("cpu", terms=Terms(engine="eager"))
    with pytest.raises(RuntimeError, match="expected input"):
        runtime.segment(nn.Conv3d(3, 2, 1), _volume(), spacing_mm=(1, 1, 1), window=(4, 4, 4))
