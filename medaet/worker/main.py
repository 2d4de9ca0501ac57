"""The child: works on one analysis at a time for its agent, keeps models warm, and answers in files.

Run as `python -P -m medaet.worker.main --fd N --agent PID --device D`; only the agent does so.
"""

import argparse
import gc
import os
import socket
import threading
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from medaet.dicom.volume import Volume
from medaet.errors import ChildCrashedError, MedaetError, OutOfMemoryError
from medaet.plugin import folder
from medaet.plugin.analysis import weights_sha256
from medaet.plugin.findings import Findings
from medaet.plugin.hooks import Hooks
from medaet.plugin.registry import Registry, discover
from medaet.precision import Terms
from medaet.worker import limits
from medaet.worker.audit import watch
from medaet.worker.device_memory import DeviceMemory
from medaet.worker.inbox import Inbox
from medaet.worker.isolation import isolate
from medaet.worker.plain import (
    PlainRuntime,
    device_failed,
    features_of,
    has_torch,
    memory_failed,
    platform_of,
    standing_alone,
)
from medaet.worker.protocol import DESCRIPTORS, Message, receive, send
from medaet.worker.shared import borrowed
from medaet.worker.warm import Loaded, TellingRuntime, Warm, key_of

ALIVE_SECONDS = 1.0
WARM_SHARE = 0.5
"""How much of the device's memory models that nobody uses now may keep."""


class Child:
    """The loop over requests."""

    def __init__(self, channel: socket.socket, registry: Registry, options: "Options") -> None:
        self._channel = channel
        self._registry = registry
        self._options = options
        self._sending = threading.Lock()
        self._inbox = Inbox()
        self._memory = DeviceMemory(options.device, options.limit_bytes)
        self._warm = Warm(0, self._memory.used_bytes)
        self._hold(options.share)
        self._begun = self._depth = 0
        self._writer = ThreadPoolExecutor(1, "findings")
        self._writing: Future[None] | None = None
        self._current: Message = {"id": 0, "urgent": True}

    def run(self) -> None:
        """Answer requests until the agent closes the channel."""
        for work, name in ((self._beat, "alive"), (self._receive, "requests")):
            threading.Thread(target=work, name=name, daemon=True).start()
        while True:
            message = self._inbox.next()
            if message["kind"] == "share":
                self._hold(float(message["share"]))
            else:
                self._work_on(message)

    def _receive(self) -> None:
        try:
            while True:
                message = receive(self._channel)
                if message["kind"] == "withdraw":
                    withdrawn = self._inbox.withdraw(int(message["id"]))
                    for one in (withdrawn or {}).get(DESCRIPTORS, ()):
                        os.close(one)
                else:
                    self._inbox.put(message)
        except MedaetError:
            os._exit(0)  # the agent has gone, or wants this child no more

    def _hold(self, share: float) -> None:
        """Keep models in a share of the device's memory, or of the host's."""
        mine = int(share * self._memory.total_bytes)
        self._warm.resize(int(WARM_SHARE * mine), mine)

    def _work_on(self, request: Message) -> None:
        before, self._current = self._current, request
        self._begun, self._depth = self._begun + 1, self._depth + 1
        self._tell({"kind": "began", "id": request["id"]})
        try:
            findings, told = self._analysed(request)
        except MemoryError:
            os._exit(limits.OUT_OF_MEMORY)  # nothing can be trusted any more
        except Exception as error:  # noqa: BLE001 -- a plugin may raise anything; it costs one attempt
            self._end_when_device_failed(error)
            answer = {"kind": "error", "id": request["id"], **_described(error)}
            self._computed(request)
            self._tell(answer)
        else:
            self._computed(request)
            if self._writing is not None:
                self._writing.result()
            self._writing = self._writer.submit(self._write, request, findings, told)
        finally:
            self._current, self._depth = before, self._depth - 1

    def _computed(self, request: Message) -> None:
        self._tell({"kind": "computed", "id": request["id"]})

    def _analysed(self, request: Message) -> tuple[Findings, Message]:
        limits.forget_peak()
        self._memory.forget_peak()
        descriptors = iter(request.pop(DESCRIPTORS, ()))
        inputs = {role: borrowed(one, descriptors) for role, one in request["inputs"].items()}
        started, number = time.monotonic(), self._begun
        self._registry.refresh()
        key, needed = key_of(request, self._weights(request)), int(request["expected_bytes"])
        with self._warm.lent(key, lambda: self._load(request), needed) as one:
            loaded = time.monotonic()
            hooks = self._registry.hooks(request["hooks"])
            findings = self._found(one, hooks.prepare(request["analysis"], inputs), hooks)
            analysed = time.monotonic()
            network_seconds, computed = one.runtime.network_seconds, one.runtime.told()
            peaks = self._memory.peaks(self._warm.size_bytes)
        return findings, {
            "load_seconds": loaded - started,
            "analyse_seconds": analysed - loaded,
            "network_seconds": network_seconds,
            "computed": computed,
            "alone": number == self._begun and self._depth == 1,
            **peaks,
        }

    def _found(self, one: Loaded, inputs: dict[str, Volume], hooks: Hooks) -> Findings:
        """Bring the inputs together as the manifest wishes, analyse them, and add what came of it."""
        name, device, wishes = one.analysis.name, one.runtime.device, one.analysis.alignments
        if not wishes:
            found = hooks.enrich(name, one.analysis.analyse(inputs, one.runtime), inputs)
            return features_of(found, inputs, device).resolved(inputs)
        from medaet.compute.registration.frames import bring_together, moved

        inputs, made = bring_together(wishes, inputs, device, self._progress)
        found = hooks.enrich(name, one.analysis.analyse(inputs, one.runtime), inputs)
        found = features_of(found, inputs, device)
        shown = moved(wishes, inputs, made)
        return replace(found, registrations=made, resampled=shown).resolved(inputs)

    def _weights(self, request: Message) -> str:
        """Tell one state of an imported model, which may be replaced under its name, from another."""
        known = self._registry.analyses.get(request["analysis"])
        return weights_sha256(known) if known else ""

    def _load(self, request: Message) -> Loaded:
        runtime = self._runtime(Terms(**request["terms"]))
        analysis = self._registry.with_settings(request["analysis"], request["settings"])
        analysis.load(runtime)
        return Loaded(analysis, runtime)

    def _runtime(self, terms: Terms) -> TellingRuntime:
        if not has_torch():
            return PlainRuntime(self._options.device, self._progress, self._checkpoint)
        from medaet.compute.runtime import Runtime

        return Runtime(
            self._options.device,
            on_progress=self._progress,
            terms=terms,
            cache=self._options.cache,
            checkpoint=self._checkpoint,
        )

    def _checkpoint(self) -> None:
        """Work on what is more urgent than the current run, which goes on afterwards."""
        if self._current.get("urgent"):
            return
        while (request := self._inbox.urgent()) is not None:
            with standing_alone():
                self._work_on(request)

    def _write(self, request: Message, findings: Findings, told: Message) -> None:
        """Write findings while the next request is worked on, and say so."""
        try:
            folder.save(findings, Path(request["findings"]))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the agent waits for an answer
            self._tell({"kind": "error", "id": request["id"], **_described(error)})
            return
        del findings
        gc.collect()
        held = self._memory.held_bytes(self._warm.size_bytes)
        self._tell({"kind": "findings", "id": request["id"], **told, **held})

    def _end_when_device_failed(self, error: Exception) -> None:
        if device_failed(error):
            os._exit(limits.DEVICE_FAILED)

    def _progress(self, fraction: float, text: str) -> None:
        number = self._current["id"]
        told = {"kind": "progress", "id": number, "fraction": float(fraction), "text": text[:200]}
        self._tell(told)

    def _beat(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(ALIVE_SECONDS):
            self._tell({"kind": "alive"})

    def _tell(self, message: Message) -> None:
        with self._sending:
            try:
                send(self._channel, message)
            except ChildCrashedError:
                os._exit(0)


def _described(error: Exception) -> Message:
    """Say which error and where, but not its message: a plugin's message may quote what it has read."""
    if memory_failed(error):
        error = OutOfMemoryError("memory did not suffice").with_traceback(error.__traceback__)
    own = type(error).__module__.startswith("medaet.")
    where = traceback.extract_tb(error.__traceback__)[-6:]
    return {
        "error": type(error).__name__,
        "own": own,
        "reason": str(error)[:500] if own else "",
        "frames": [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in where],
    }


class Options(argparse.Namespace):
    """The arguments."""

    fd: int
    agent: int
    device: str
    models: Path | None
    cache: Path | None
    audit: Path | None
    may_write: list[Path]
    limit_bytes: int
    share: float
    module: list[str]


def main() -> None:
    """Isolate this process, load the plugins, say hello and work."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--agent", type=int, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--limit-bytes", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--module", action="append", default=[])
    parser.add_argument("--models", type=Path)
    parser.add_argument("--audit", type=Path)
    parser.add_argument("--may-write", type=Path, action="append", default=[])
    options = parser.parse_args(namespace=Options())
    network_cut = isolate(options.agent)
    limits.limit_memory(options.limit_bytes, hard=options.device == "cpu")
    channel = socket.socket(fileno=options.fd)
    registry = discover(options.module, options.models)
    child = Child(channel, registry, options)
    hello = {"kind": "hello", "network_cut": network_cut, "platform": platform_of(options.device)}
    if options.audit is not None:
        watch(options.audit, [Path.home(), *options.may_write])
    send(channel, hello)
    try:
        child.run()
    finally:
        os._exit(0)  # no exit handlers: torch's take a second, and there is nothing to keep


if __name__ == "__main__":
    main()
