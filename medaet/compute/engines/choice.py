"""The choice of an engine: by configuration, by what was measured before, or by measuring now."""

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import structlog
import torch

from medaet.compute.engines.eager import channels_last, compiled, eager
from medaet.compute.engines.engine import Engine, Task
from medaet.compute.engines.exported import exported
from medaet.compute.engines.onnx import onnxruntime
from medaet.compute.engines.openvino import openvino
from medaet.compute.engines.torchscript import torchscript
from medaet.errors import EngineError
from medaet.plugin.precision import EngineName

log = structlog.get_logger()

BUILDERS: Mapping[EngineName, Callable[[Task], Engine]] = {
    "eager": eager,
    "channels_last": channels_last,
    "compiled": compiled,
    "torchscript": torchscript,
    "exported": exported,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
}
CANDIDATES: tuple[EngineName, ...] = (
    "eager",
    "channels_last",
    "torchscript",
    "openvino",
    "onnxruntime",
)
"""What "auto" tries: all that is made ready within seconds."""
RUNS = 3
SMALLEST_GAIN = 1.1
"""A faster engine is preferred over torch itself from here on."""
LARGEST_DISAGREEMENT = 1e-4
"""Share of an example's voxels whose winning class may differ from torch's own, by rounding alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """An engine, and why it was taken.

    Attributes:
        engine: Ready to run.
        milliseconds: Median time of one call of each engine that was measured; empty when none was.
    """

    engine: Engine
    milliseconds: Mapping[str, float]


def choose(task: Task, asked: EngineName | None = None) -> Chosen:
    """Make a network ready.

    Args:
        task: The network, and an example of its input.
        asked: The engine to use; None for the fastest on this host that agrees with torch, which is measured once
            and remembered beside other files of the network.

    Raises:
        EngineError: the engine that was asked for cannot run the network, or none can.
    """
    if asked is not None:
        return Chosen(BUILDERS[asked](task), {})
    remembered = _remembered(task)
    if remembered is not None:
        name, milliseconds = remembered
        try:
            return Chosen(BUILDERS[name](task), milliseconds)
        except EngineError as error:
            log.warning("engine.refused", engine=name, reason=str(error))
    chosen = measured(task)
    _remember(task, chosen)
    return chosen


def measured(task: Task) -> Chosen:
    """Run the example on every engine there is, and take the fastest that agrees with torch.

    Raises:
        EngineError: no engine can run the network.
    """
    ready: dict[EngineName, Engine] = {}
    milliseconds: dict[str, float] = {}
    reference: torch.Tensor | None = None
    for name in CANDIDATES:
        try:
            engine = BUILDERS[name](task)
            logits = engine(task.example)
        except EngineError as error:
            log.debug("engine.refused", engine=name, reason=str(error))
            continue
        if reference is None:
            reference = logits.clone()
        elif not agree(logits, reference):
            log.warning("engine.refused", engine=name, reason="its labels differ from torch's")
            continue
        ready[name] = engine
        milliseconds[name] = _milliseconds(engine, task.example)
    if not ready:
        raise EngineError("no inference engine on this host can run the network")
    fastest = min(ready, key=lambda name: milliseconds[name])
    first = next(iter(ready))
    if milliseconds[first] < SMALLEST_GAIN * milliseconds[fastest]:
        fastest = first
    return Chosen(ready[fastest], milliseconds)


def agree(logits: torch.Tensor, reference: torch.Tensor) -> bool:
    """Whether the winning classes of logits (batch, class, ...) are the same but for rounding."""
    if logits.shape != reference.shape or not bool(torch.isfinite(logits.sum())):
        return False
    if logits.shape[1] == 1:
        differ = (logits > 0) != (reference > 0)
    else:
        differ = logits.max(dim=1).indices != reference.max(dim=1).indices
    return float(differ.float().mean()) <= LARGEST_DISAGREEMENT


def _milliseconds(engine: Engine, example: torch.Tensor) -> float:
    runs = []
    for _ in range(RUNS):
        _wait(example.device)
        started = time.perf_counter()
        engine(example)
        _wait(example.device)
        runs.append(1000 * (time.perf_counter() - started))
    return round(statistics.median(runs), 3)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _note(task: Task) -> Path | None:
    """Name the file that remembers the choice for this network, input, device and set of versions."""
    if task.cache is None or not task.fingerprint:
        return None
    title = (
        torch.cuda.get_device_name(task.device)
        if task.device.type == "cuda"
        else f"{task.device.type} {torch.get_num_threads()}"
    )
    facts = [title, task.precision, list(task.example.shape), versions()]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return task.cache / f"{task.fingerprint[:32]}-{digest[:16]}.json"


def versions() -> dict[str, str]:
    """Return the version of each package that can run networks."""
    found = {}
    for package in ("torch", "onnxruntime", "onnxruntime-gpu", "openvino"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _remembered(task: Task) -> tuple[EngineName, dict[str, float]] | None:
    note = _note(task)
    if note is None:
        return None
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        times = {str(name): float(value) for name, value in content["milliseconds"].items()}
        engine = content["engine"]
    except (OSError, AttributeError, LookupError, TypeError, ValueError):
        return None
    return (engine, times) if engine in BUILDERS else None


def _remember(task: Task, chosen: Chosen) -> None:
    note = _note(task)
    if note is None:
        return
    content = {
        "engine": chosen.engine.name,
        "milliseconds": dict(chosen.milliseconds),
        "versions": versions(),
    }
    note.parent.mkdir(parents=True, exist_ok=True)
    part = note.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1), encoding="utf-8")
    part.replace(note)
