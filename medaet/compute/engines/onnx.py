"""ONNX Runtime: on CPUs, and on GPUs through CUDA or TensorRT where its build has them."""

import contextlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.dlpack import from_dlpack

from medaet.compute.engines.eager import torch_module
from medaet.compute.engines.engine import OnnxFile, Task, quiet
from medaet.errors import EngineError
from medaet.precision import EngineName

QUIET = 3
"""Severity from which ONNX Runtime writes to standard error."""
TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"


class OnnxRuntime:
    """Runs a network in ONNX Runtime.

    Args:
        session: An `onnxruntime.InferenceSession`.
    """

    name: EngineName = "onnxruntime"

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Run the network; on a GPU the windows and logits stay there."""
        if windows.device.type == "cpu":
            (logits,) = self._session.run([self._output], {self._input: windows.numpy()})
            return torch.from_numpy(logits)
        return self._bound(windows.contiguous())

    def _bound(self, windows: torch.Tensor) -> torch.Tensor:
        binding = self._session.io_binding()
        number = windows.device.index or 0
        binding.bind_input(
            self._input,
            "cuda",
            number,
            np.float32,
            tuple(windows.shape),
            windows.data_ptr(),
        )
        binding.bind_output(self._output, "cuda", number)
        torch.cuda.current_stream(windows.device).synchronize()
        self._session.run_with_iobinding(binding)
        return from_dlpack(binding.get_outputs()[0]._ortvalue).clone()  # noqa: SLF001 -- the documented way


def onnxruntime(task: Task) -> OnnxRuntime:
    """Export the network to ONNX and load it.

    Raises:
        EngineError: ONNX Runtime is not installed or cannot run the network.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise EngineError("ONNX Runtime is not installed; pip install 'medaet[onnx]'")
    if task.precision not in ("fp32", "tf32", "int8"):
        raise EngineError(f"ONNX Runtime does not compute torch networks in {task.precision} here")
    if task.precision == "tf32" and task.device.type != "cuda":
        raise EngineError("only NVIDIA GPUs compute in tf32")
    import onnxruntime as ort

    available = ort.get_available_providers()
    wanted = [one for one in providers(task) if one[0] in available]
    if not wanted:
        raise EngineError(f"this build of ONNX Runtime does not run on {task.device.type}")
    options = ort.SessionOptions()
    options.log_severity_level = QUIET
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with onnx_file(task) as path:
        try:
            session = ort.InferenceSession(os.fspath(path), options, providers=wanted)
        except Exception as error:  # its errors share no base; another engine is used instead
            raise EngineError(
                f"ONNX Runtime cannot load the network ({type(error).__name__})"
            ) from error
    return OnnxRuntime(session)


def providers(task: Task) -> list[tuple[str, dict[str, int]]]:
    """Name ONNX Runtime's providers that compute in the precision that is asked for, best first, with their options.

    TensorRT rounds to tf32 wherever the GPU can, whatever it is asked; so it has no part in fp32.
    """
    if task.device.type == "cpu":
        return [(CPU, {})]
    if task.device.type != "cuda":
        return []
    index = {"device_id": task.device.index or 0}
    cuda = (CUDA, {**index, "use_tf32": int(task.precision == "tf32")})
    if task.precision == "fp32":
        return [cuda]
    return [(TENSORRT, {**index, "trt_int8_enable": int(task.precision == "int8")}), cuda]


@contextlib.contextmanager
def onnx_file(task: Task) -> Iterator[Path]:
    """Give the network as an ONNX file, which may be gone afterwards.

    Raises:
        EngineError: it cannot be exported.
    """
    if task.precision == "int8":
        yield task.quantised_file()
        return
    if isinstance(task.source, OnnxFile):
        yield task.source.path
        return
    kept = task.cached(".onnx")
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="medaet-onnx-") as folder:
            path = Path(folder) / "network.onnx"
            export(task, path)
            yield path
        return
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part")
        export(task, part)
        part.replace(kept)
    yield kept


def export(task: Task, path: Path, *, any_batch: bool = False) -> None:
    """Write a torch network as an ONNX file.

    Args:
        task: The network, and the shape of its input.
        path: The file.
        any_batch: Whether it shall take any number of windows, not only as many as the example has.

    Raises:
        EngineError: it cannot be exported.
    """
    with quiet():
        try:
            torch.onnx.export(
                torch_module(task).float(),
                (task.example,),
                os.fspath(path),
                dynamo=False,  # the other exporter takes several times as long and needs two packages more
                input_names=["windows"],
                output_names=["logits"],
                dynamic_axes={"windows": {0: "batch"}, "logits": {0: "batch"}} if any_batch else {},
            )
        except (
            Exception
        ) as error:  # exporting runs a stranger's code; another engine is used instead
            raise EngineError(
                f"the network cannot be exported to ONNX ({type(error).__name__})"
            ) from error
