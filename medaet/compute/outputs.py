"""Networks whose output is no logits for each voxel: run as they are, in single precision."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from medaet.compute.engines.eager import computed_in
from medaet.compute.engines.engine import OnnxFile, Source
from medaet.errors import EngineError, PluginError
from medaet.precision import EngineName


class Outputs:
    """A network on a device.

    Args:
        source: A torch module on the device, or an ONNX file, which is read here and runs on the host.

    Raises:
        EngineError: there is no ONNX Runtime, or it cannot run the file.
    """

    def __init__(self, source: Source) -> None:
        self._module = source if isinstance(source, nn.Module) else None
        self._session = _session(source) if isinstance(source, OnnxFile) else None
        self.name: EngineName = "eager" if self._session is None else "onnxruntime"

    def __call__(self, windows: torch.Tensor) -> Any:
        """Run the network on (batch, channel, *window); an ONNX file returns its outputs by name."""
        if self._session is not None:
            if len(windows) > 1 and self._session.get_inputs()[0].shape[0] == 1:
                each = [self(one[None]) for one in windows]
                return {name: torch.cat([one[name] for one in each]) for name in each[0]}
            given = {self._session.get_inputs()[0].name: windows.cpu().numpy()}
            names = [one.name for one in self._session.get_outputs()]
            found = self._session.run(names, given)
            return {name: torch.from_numpy(one) for name, one in zip(names, found, strict=True)}
        assert self._module is not None
        with torch.inference_mode(), computed_in("fp32", windows.device):
            return self._module(windows)


def numbers(output: Any) -> torch.Tensor:
    """Return the numbers of a network that says something of each of its inputs: (batch, output), on the host.

    Raises:
        PluginError: its output is something else.
    """
    while isinstance(output, tuple | list | Mapping) and len(output) == 1:
        output = next(iter(output.values())) if isinstance(output, Mapping) else output[0]
    if not isinstance(output, torch.Tensor):
        raise PluginError(f"the network returns {type(output).__name__}, not one tensor")
    found = output.float().cpu()
    found = found.reshape(len(found), -1) if found.ndim != 2 and _is_narrow(found) else found
    if found.ndim != 2:
        raise PluginError(
            f"the network returns a tensor {tuple(output.shape)}, not (batch, output)"
        )
    return found


def _is_narrow(found: torch.Tensor) -> bool:
    """Whether all axes but the first two have one place each, as pooling leaves them."""
    return found.ndim == 1 or (found.ndim > 2 and all(one == 1 for one in found.shape[2:]))


def boxes(output: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return boxes (n, 6), their scores (n,) and their classes (n,) from what a detecting network returns, on the host.

    Taken are three tensors by name (box, score, label, in any spelling), or by position: boxes, scores and labels; or
    boxes and a score for each class. Lists of one input, and the losses that scripted detectors return first, are
    unpacked.

    Raises:
        PluginError: its output is something else.
    """
    found = _unpacked(output)
    if isinstance(found, Mapping):
        found = _by_name(found)
    tensors = [one for one in found if isinstance(one, torch.Tensor)] if found is not None else []
    shapes = ", ".join(str(tuple(one.shape)) for one in tensors) or type(output).__name__
    refused = PluginError(
        f"the network returns {shapes}, not boxes (n, 6), scores (n,) and labels (n,)"
    )
    if len(tensors) not in (2, 3):
        raise refused
    places, *rest = (one.detach().cpu() for one in tensors)
    places = places.reshape(-1, places.shape[-1]).double()
    if len(rest) == 1:
        scores, labels = rest[0].reshape(len(places), -1).float().max(dim=1)
    else:
        scores, labels = rest
        if not scores.is_floating_point() and labels.is_floating_point():
            scores, labels = labels, scores
        scores, labels = scores.reshape(-1).float(), labels.reshape(-1)
    if places.shape[-1] != 6 or len({len(places), len(scores), len(labels)}) != 1:
        raise refused
    return places, scores, labels.long()


def _unpacked(output: Any) -> Any:
    while isinstance(output, tuple | list):
        inner = [one for one in output if not (isinstance(one, Mapping) and not len(one))]
        if len(inner) != 1:
            return output if all(isinstance(one, torch.Tensor) for one in inner) else None
        output = inner[0]
    return output if isinstance(output, Mapping) else None


def _by_name(found: Mapping[str, Any]) -> list[Any] | None:
    scores = next((one for one in found if "score" in one.lower()), None)
    place = next((one for one in found if "box" in one.lower() and one != scores), None)
    label = next((one for one in found if one not in (scores, place) and _names_a_class(one)), None)
    if scores is None or place is None:
        return list(found.values())
    return [found[place], found[scores], *([found[label]] if label is not None else [])]


def _names_a_class(name: str) -> bool:
    return "label" in name.lower() or "class" in name.lower()


def _session(file: OnnxFile) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError("ONNX Runtime is not installed; pip install 'medaet[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(
            os.fspath(file.path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its errors share no base
        raise EngineError(f"ONNX Runtime cannot load {file.path.name}") from error
