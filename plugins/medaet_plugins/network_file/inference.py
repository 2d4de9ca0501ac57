"""A network file at work, and what is tried of it before it becomes a model."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medaet.compute.engines.choice import choose
from medaet.compute.engines.engine import Engine, OnnxFile, Source, Task
from medaet.compute.outputs import Outputs, boxes, numbers
from medaet.dicom.volume import Volume
from medaet.errors import EngineError, PluginError
from medaet.plugin.analysis import AnalysisRuntime
from medaet.plugin.axes import towards
from medaet.plugin.model import Model
from medaet.plugin.recipe import ShownOptions
from medaet.precision import EngineName
from medaet_plugins.network_file.description import ONNX, Scale, Shown, Triple, scripts

TRIED = 32
"""Voxels along an axis on which a network that takes any number is tried."""
NAMES = {"torchscript": "network.ts", "onnx": "network.onnx"}
REACHES_OUT = re.compile(
    r"\b(?:torch|ops\.aten)\.(?:from_file|save|_save|load)\b|\bops\.(?!aten\b|prim\b|quantized\b)\w+\.\w+"
)
"""What TorchScript could do beyond computing: files, and operators of libraries."""


class Intensity:
    """Maps the voxel values of a whole scan, (channel, *grid); each channel by itself."""

    def __init__(self, shown: Shown) -> None:
        self._how = shown.intensity

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Map the values."""
        if isinstance(self._how, Scale):
            (low, high), (first, last) = self._how.source, self._how.target
            return (image.clamp(low, high) - low) / (high - low) * (last - first) + first
        if self._how == "z-score":
            flat = image.flatten(1)
            mean, spread = flat.mean(1), flat.std(1).clamp(min=1e-6)
            return (image - mean.view(-1, 1, 1, 1)) / spread.view(-1, 1, 1, 1)
        return image


class Planes:
    """A network of planes, called with windows that are one plane thick."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._engine: Engine | None = None

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, 1, row, column) to logits (batch, class, 1, row, column)."""
        planes = windows[:, :, 0].contiguous()
        if self._engine is None:
            self._engine = choose(Task(self._source, planes, "fp32"), _asked(self._source)).engine
        return self._engine(planes)[:, :, None]


class Predictor:
    """A packed network file.

    Args:
        folder: Of the model.
        model: Its manifest.
        runtime: Of the worker child.
    """

    def __init__(self, folder: Path, model: Model, runtime: AnalysisRuntime) -> None:
        self.shown = Shown.model_validate(model.options)
        self._orientation = model.orientation
        path = folder / NAMES[model.kind]
        self.source: Source = OnnxFile(path) if path.suffix in ONNX else runtime.torchscript(path)
        self._network = Planes(self.source) if self.shown.window[0] == 1 else self.source

    def predict(self, volumes: Sequence[Volume], runtime: AnalysisRuntime) -> NDArray[np.uint8]:
        """Segment volumes on one grid: labels (slice, row, column), or 0 and 1 for each channel before these."""
        shown = self.shown
        return runtime.segment(
            self._network,
            volumes,
            spacing_mm=self.spacing(volumes[0]),
            mirror=shown.mirror,
            activation=shown.activation,
            skip_background=shown.skip_background,
            **self.options(),
        )

    def options(self) -> ShownOptions:
        """Return how the network is shown a scan, whatever its output is."""
        shown = self.shown
        return {
            "window": shown.window,
            "overlap": shown.overlap,
            "clip": shown.clip,
            "intensity": Intensity(shown),
            "orientation": self._orientation,
            "alignment": shown.alignment,
            "interpolation": shown.interpolation,
            "antialias": shown.antialias,
            "batch": shown.batch,
        }

    def spacing(self, volume: Volume) -> Triple:
        """Return the spacing of the network's grid along its axes, in mm."""
        turn = towards(self._orientation, volume.affine)
        own = turn.along(volume.spacing_mm)
        if self.shown.fit == "stretch":
            lengths = turn.along(volume.voxels.shape)
            planes = self.shown.window[0] == 1
            stretched = [
                spacing * length / window
                for spacing, length, window in zip(own, lengths, self.shown.window, strict=True)
            ]
            return own[0] if planes else stretched[0], stretched[1], stretched[2]
        first, second, third = (
            wanted or found for wanted, found in zip(self.shown.spacing_mm, own, strict=True)
        )
        return first, second, third


def check_script(path: Path, *, trusted: bool) -> None:
    """Refuse a TorchScript file that would do more than compute.

    Raises:
        PluginError: naming the operation.
    """
    found = [hit.group() for text in scripts(path) for hit in REACHES_OUT.finditer(text)]
    if found and not trusted:
        raise PluginError(
            f"{path.name} calls {found[0]}, which reaches beyond the network's own computation; if you know where the "
            "file comes from, import it with --trust"
        )


def try_out(path: Path, model: Model) -> None:
    """Show a network one window of zeros.

    Raises:
        PluginError: it cannot be run, or its output does not have the classes that the TOML names.
    """
    shown = Shown.model_validate(model.options)
    window = shown.window[1:] if shown.window[0] == 1 else shown.window
    example = torch.zeros((shown.batch or 1, len(model.inputs), *window))
    source: Source = OnnxFile(path) if path.suffix in ONNX else _loaded(path)
    most = max(value for one in model.outputs for value in one.values)
    if model.task != "segmentation":
        _try_head(source, model, example, most)
        return
    with _refused_on(example):
        logits = choose(Task(source, example, "fp32"), _asked(source)).engine(example)
    wanted = (len(example), most + 1, *window)
    if logits.ndim != len(wanted) or logits.shape[2:] != wanted[2:] or logits.shape[1] <= most:
        raise PluginError(
            f"the network maps a window {tuple(example.shape)} to {tuple(logits.shape)}, where the outputs of its TOML "
            f"ask for {wanted} at least"
        )


def _try_head(source: Source, model: Model, example: torch.Tensor, most: int) -> None:
    """Show a network whose output is no mask a window; a length of 0 is one of 32 here."""
    if model.task == "detection":
        shape = [one or TRIED for one in example.shape]
        example = torch.zeros((1, *shape[1:]))
    with _refused_on(example):
        output = Outputs(source)(example)
    if model.task == "detection":
        boxes(output)
        return
    found = numbers(output)
    if len(found) != len(example) or found.shape[1] <= most:
        raise PluginError(
            f"the network maps a window {tuple(example.shape)} to {tuple(found.shape)}, where the outputs of its TOML "
            f"ask for {(len(example), most + 1)} at least"
        )


@contextlib.contextmanager
def _refused_on(example: torch.Tensor) -> Iterator[None]:
    try:
        yield
    except (EngineError, RuntimeError) as error:
        raise PluginError(
            f"the network cannot be run on a window {tuple(example.shape)}: {_last_line(error)}"
        ) from error


def _loaded(path: Path) -> torch.nn.Module:
    module: torch.nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return module.eval()


def _asked(source: Source) -> EngineName | None:
    """Name the engine where there is nothing to choose: torch's others take windows of three dimensions."""
    return None if isinstance(source, OnnxFile) else "eager"


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
