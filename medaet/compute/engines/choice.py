"""The choice of an engine: by configuration, by what was measured before, or by measuring now."""

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
import torch

from medaet.compute.engines.eager import channels_last, compiled, eager
from medaet.compute.engines.engine import Engine, Task
from medaet.compute.engines.exported import exported
from medaet.compute.engines.onnx import onnxruntime
from medaet.compute.engines.openvino import openvino
from medaet.compute.engines.torchscript import torchscript
from medaet.compute.failures import is_device_failure, is_out_of_memory
from medaet.compute.platform import title, versions
from medaet.errors import EngineError
from medaet.precision import EngineName, Precision

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
    "openvino",
    "torchscript",
    "onnxruntime",
)
"""What "auto" tries: all that is made ready within seconds, after torch itself those first that mostly win."""
RUNS = 3
LONG_SECONDS = 0.5
"""A first run of this length is measurement enough: what getting warm adds to it is little."""
BUDGET_SECONDS = 10.0
FEWEST = 3
"""Once measuring has taken so long and so many engines have run, no further one is tried: a first job waits for it."""
FEW_CALLS = 2
"""A network that takes long for a call and has no more to do in a volume is run by torch at once: making ready other
engines takes many times as long as a call, and the first result would wait for minutes to save later ones seconds."""
HOPELESS = 2.0
"""An engine whose first run takes so many times the best one's time is not run again."""
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
        precision: What it computes in.
        logits: Its answer to the example; None where it has not run yet.
        provisional: Whether it was taken because little was to be computed; with more, the choice is due.
    """

    engine: Engine
    milliseconds: Mapping[str, float]
    precision: Precision = "fp32"
    logits: torch.Tensor | None = None
    provisional: bool = False


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
        return Chosen(BUILDERS[asked](task), {}, task.precision)
    remembered = _remembered(task)
    if remembered is not None:
        name, milliseconds = remembered
        try:
            return Chosen(BUILDERS[name](task), milliseconds, task.precision)
        except EngineError as error:
            log.warning("engine.refused", engine=name, reason=str(error))
    chosen = measured(task)
    if not chosen.provisional:
        _remember(task, chosen)
    return chosen


def measured(task: Task) -> Chosen:
    """Run the example on every engine there is, and take the fastest that agrees with torch.

    Raises:
        EngineError: no engine can run the network.
    """
    milliseconds: dict[str, float] = {}
    first: _Trial | None = None
    best: _Trial | None = None
    started = time.perf_counter()
    for name in CANDIDATES:
        if len(milliseconds) >= FEWEST and time.perf_counter() - started > BUDGET_SECONDS:
            break
        trial = _tried(name, task, first, best)
        if trial is None:
            continue
        milliseconds[name] = trial.milliseconds
        first = first or trial
        if first is trial and 0 < task.calls <= FEW_CALLS and trial.is_long:
            return Chosen(trial.engine, milliseconds, task.precision, trial.logits, True)
        best = trial if best is None or trial.milliseconds < best.milliseconds else best
    if first is None or best is None:
        raise EngineError(f"no inference engine here can run the network in {task.precision}")
    if first.milliseconds < SMALLEST_GAIN * best.milliseconds:
        best = first
    return Chosen(best.engine, milliseconds, task.precision, best.logits)


def agree(logits: torch.Tensor, reference: torch.Tensor) -> bool:
    """Whether the winning classes of logits (batch, class, ...) are the same but for rounding."""
    if logits.shape != reference.shape or not bool(torch.isfinite(logits.sum())):
        return False
    if logits.shape[1] == 1:
        differ = (logits > 0) != (reference > 0)
    else:
        differ = logits.max(dim=1).indices != reference.max(dim=1).indices
    return float(differ.float().mean()) <= LARGEST_DISAGREEMENT


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    engine: Engine
    milliseconds: float
    logits: torch.Tensor

    @property
    def is_long(self) -> bool:
        return self.milliseconds > 1000 * LONG_SECONDS


def _tried(
    name: EngineName, task: Task, first: _Trial | None, best: _Trial | None
) -> _Trial | None:
    """Run the example on one engine; None when it cannot, or when its labels are others than the first engine's."""
    try:
        engine = BUILDERS[name](task)
        logits, spent = _first_run(engine, task)
    except EngineError as error:
        log.debug("engine.refused", engine=name, reason=str(error))
        return None
    if first is not None and not agree(logits, first.logits):
        log.warning("engine.refused", engine=name, reason="its labels differ from torch's")
        return None
    once = _Trial(engine, spent, logits)
    if once.is_long or (best is not None and spent > HOPELESS * best.milliseconds):
        return once
    return replace(once, milliseconds=_milliseconds(engine, task.example))


def _first_run(engine: Engine, task: Task) -> tuple[torch.Tensor, float]:
    """Run the example; its logits, and how many milliseconds it took.

    Raises:
        EngineError: the engine has no kernels for this network in this precision.
    """
    try:
        started = time.perf_counter()
        logits = engine(task.example)
        _wait(task.device)
        return logits, round(1000 * (time.perf_counter() - started), 3)
    except RuntimeError as error:
        if is_out_of_memory(error) or is_device_failure(error):
            raise
        raise EngineError(f"it has no kernels for {task.precision}") from error


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
    name = f"{title(task.device)}, {torch.get_num_threads()} threads"
    facts = [name, task.precision, list(task.example.shape), versions()]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return task.cache / f"{task.fingerprint[:32]}-{digest[:16]}.json"


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
