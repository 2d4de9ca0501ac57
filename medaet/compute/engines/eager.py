"""torch itself: operation by operation, in another memory layout, or compiled."""

import contextlib
import copy
from collections.abc import Iterator
from typing import cast

import torch
from torch import nn

from medaet.compute.engines.engine import OnnxFile, Task
from medaet.errors import EngineError
from medaet.precision import EngineName, Precision

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Eager:
    """Runs a torch module as it is.

    Args:
        module: In evaluation mode, on the device of the windows.
        precision: fp32 and tf32 set what the GPU's matrix units may do; bf16 and fp16 use torch's autocast.
        name: What to call it.
        layout: Of the windows.
    """

    def __init__(
        self,
        module: nn.Module,
        precision: Precision,
        *,
        name: EngineName = "eager",
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self._module = module
        self._precision = precision
        self._layout = layout
        self.name: EngineName = name

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Run the module."""
        windows = windows.contiguous(memory_format=self._layout)
        with torch.inference_mode(), computed_in(self._precision, windows.device):
            logits = self._module(windows)
        first: torch.Tensor = logits[0] if isinstance(logits, tuple | list) else logits
        return first.float()


def eager(task: Task) -> Eager:
    """Run the network operation by operation."""
    return Eager(torch_module(task), task.precision)


def channels_last(task: Task) -> Eager:
    """Keep a voxel's channels side by side in memory, which the convolutions of many processors prefer."""
    layout = torch.channels_last_3d
    module = copy.deepcopy(torch_module(task)).to(memory_format=layout)  # type: ignore[call-overload] # torch's stubs
    return Eager(module, task.precision, name="channels_last", layout=layout)


def compiled(task: Task) -> Eager:
    """Compile the network (TorchInductor); on CUDA as a CUDA graph, which leaves the host nothing to do.

    Takes tens of seconds, and on a CPU a C++ compiler; so it is used only where the configuration asks for it.

    Raises:
        EngineError: it cannot be compiled here.
    """
    mode = "reduce-overhead" if task.device.type == "cuda" else "default"
    module = cast(nn.Module, torch.compile(torch_module(task), mode=mode))
    engine = Eager(module, task.precision, name="compiled")
    try:
        engine(task.example)
    except Exception as error:  # the compiler raises what it likes; another engine is used instead
        raise EngineError(
            f"torch cannot compile the network here ({type(error).__name__})"
        ) from error
    return engine


def torch_module(task: Task) -> nn.Module:
    """Return the network as a torch module.

    Raises:
        EngineError: it is none, or is not computed in the precision here.
    """
    if isinstance(task.source, OnnxFile):
        raise EngineError(f"{task.source.path.name} is an ONNX file, which torch cannot run")
    if task.precision == "int8":
        raise EngineError("torch has no quantised convolutions in three dimensions")
    if task.precision == "tf32" and task.device.type != "cuda":
        raise EngineError("only NVIDIA GPUs compute in tf32")
    return task.source


@contextlib.contextmanager
def computed_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute in a precision, whatever torch's own defaults are: they let convolutions use TF32 silently."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    allowed = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    half = HALVES.get(precision)
    try:
        with torch.autocast(device.type, half) if half else contextlib.nullcontext():
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
