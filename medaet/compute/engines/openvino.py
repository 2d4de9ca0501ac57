"""OpenVINO on CPUs: several times torch's speed on convolutions, in the precision that is asked for and no other."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import torch

from medaet.compute.engines.eager import torch_module
from medaet.compute.engines.engine import OnnxFile, Source, Task, quiet
from medaet.compute.sliding import MANY_CLASSES
from medaet.errors import EngineError
from medaet.precision import EngineName

HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
"""Left to itself, OpenVINO computes in bf16 on processors that can, and labels change."""
RANK = 5


class OpenVino:
    """Runs a compiled network.

    Args:
        network: An `openvino.CompiledModel`.
        interleaved: Whether it gives the classes of a voxel side by side.
    """

    name: EngineName = "openvino"

    def __init__(self, network: Any, *, interleaved: bool = False) -> None:
        self._request = network.create_infer_request()
        self._interleaved = interleaved

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Run the network; nothing is copied."""
        given = [windows.contiguous().numpy()]
        found = self._request.infer(given, share_inputs=True, share_outputs=True)
        logits = torch.from_numpy(found[0])
        return logits.movedim(-1, 1) if self._interleaved else logits


def openvino(task: Task) -> OpenVino:
    """Convert and compile the network.

    Raises:
        EngineError: OpenVINO is not installed or cannot run the network.
    """
    if importlib.util.find_spec("openvino") is None:
        raise EngineError("OpenVINO is not installed; pip install 'medaet[openvino]'")
    if task.device.type != "cpu" or task.precision not in HINTS:
        raise EngineError(f"OpenVINO does not compute in {task.precision} on {task.device}")
    ov = without_telemetry()
    core = ov.Core()
    with quiet():
        try:
            model = _model(task, core)
            interleaved = _interleave(model)
            settings = {
                "INFERENCE_PRECISION_HINT": HINTS[task.precision],
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "PERFORMANCE_HINT": "LATENCY",
                "ENABLE_CPU_PINNING": False,  # the daemon's other processes use the same cores
            }
            compiled = core.compile_model(model, "CPU", settings)
        except EngineError:
            raise
        except Exception as error:  # its errors share no base; another engine is used instead
            raise EngineError(
                f"OpenVINO cannot run the network ({type(error).__name__})"
            ) from error
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != HINTS[task.precision]:
        raise EngineError(f"OpenVINO computes in {used} on this processor, not {task.precision}")
    return OpenVino(compiled, interleaved=interleaved)


def without_telemetry() -> Any:
    """Import OpenVINO so that it sends nothing home: its converter reports each use unless it cannot import how."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # None makes an import fail
    import openvino

    return openvino


def _model(task: Task, core: Any) -> Any:
    """Read the converted network where it was kept, else convert it."""
    if task.precision == "int8" or isinstance(task.source, OnnxFile):
        file = task.quantised_file() if task.precision == "int8" else _path(task.source)
        model = core.read_model(os.fspath(file))
        model.reshape(list(task.example.shape))
        return model
    kept = task.cached(".xml")
    if kept is not None and kept.is_file():
        return core.read_model(os.fspath(kept))
    model = without_telemetry().convert_model(
        torch_module(task), example_input=task.example, input=list(task.example.shape)
    )
    if kept is not None:
        _keep(model, kept)
    return model


def _interleave(model: Any) -> bool:
    """Let a network of many classes answer as it computes, a voxel's classes side by side: turning costs a third."""
    shape = model.output(0).get_partial_shape()
    if (
        shape.rank.get_length() != RANK
        or shape[1].is_dynamic
        or shape[1].get_length() < MANY_CLASSES
    ):
        return False
    from openvino import Layout
    from openvino.preprocess import PrePostProcessor

    turning = PrePostProcessor(model)
    turning.output(0).model().set_layout(Layout("NCDHW"))
    turning.output(0).tensor().set_layout(Layout("NDHWC"))
    turning.build()
    return True


def _path(source: Source) -> Path:
    assert isinstance(source, OnnxFile)
    return source.path


def _keep(model: Any, path: Path) -> None:
    """Write both files of a converted network, last the one that is looked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.part.xml")
    without_telemetry().save_model(model, os.fspath(part), compress_to_fp16=False)
    part.with_suffix(".bin").replace(path.with_suffix(".bin"))
    part.replace(path)
