"""The child: takes one analysis at a time from its agent, keeps models warm, and answers in files.

Run as `python -P -m medaet.worker.main --fd N --agent PID --device D`; only the agent does so.
"""

import argparse
import json
import os
import socket
import threading
import time
import traceback
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

from medaet.dicom.volume import Volume
from medaet.plugin import folder
from medaet.plugin.analysis import Analysis
from medaet.plugin.findings import Findings
from medaet.plugin.registry import Registry, discover
from medaet.worker.isolation import isolate
from medaet.worker.protocol import Message, receive, send

ALIVE_SECONDS = 1.0
WARM_ANALYSES = 4


class Child:
    """The loop over requests, and the analyses that are kept loaded."""

    def __init__(self, channel: socket.socket, device: str, registry: Registry) -> None:
        from medaet.compute.runtime import Runtime

        self._channel = channel
        self._registry = registry
        self._lock = threading.Lock()
        self._warm: OrderedDict[str, Analysis] = OrderedDict()
        self._runtime = Runtime(device, on_progress=self._progress)

    def run(self) -> None:
        """Answer requests until the agent closes the channel."""
        threading.Thread(target=self._beat, name="alive", daemon=True).start()
        while True:
            request = receive(self._channel)
            try:
                self._tell({"kind": "findings", **self._analyse(request)})
            except MemoryError:
                os._exit(70)  # nothing can be trusted any more; the agent starts another child
            except Exception as error:  # noqa: BLE001 -- a plugin may raise anything; it costs one attempt
                self._tell({"kind": "error", **_described(error)})

    def _analyse(self, request: Message) -> Message:
        inputs = {
            role: folder.load_volume(Path(where)) for role, where in request["inputs"].items()
        }
        started = time.monotonic()
        analysis = self._loaded(request["analysis"], request["settings"])
        loaded = time.monotonic()
        findings = self._found(analysis, inputs)
        analysed = time.monotonic()
        folder.save(findings, Path(request["findings"]))
        return {"load_seconds": loaded - started, "analyse_seconds": analysed - loaded}

    def _found(self, analysis: Analysis, inputs: dict[str, Volume]) -> Findings:
        """Bring the inputs together as the manifest wishes, analyse them, and add what came of it."""
        from medaet.compute.features.measure import measured
        from medaet.compute.registration.frames import bring_together, moved

        wishes = analysis.alignments
        inputs, made = bring_together(wishes, inputs, self._runtime.device, self._progress)
        found = measured(analysis.analyse(inputs, self._runtime), inputs, self._runtime.device)
        shown = moved(wishes, inputs, made)
        return replace(found, registrations=made, resampled=shown).resolved(inputs)

    def _loaded(self, name: str, settings: Message) -> Analysis:
        key = json.dumps([name, settings], sort_keys=True)
        analysis = self._warm.pop(key, None)
        if analysis is None:
            analysis = self._registry.with_settings(name, settings)
            analysis.load(self._runtime)
        self._warm[key] = analysis
        while len(self._warm) > WARM_ANALYSES:
            self._warm.popitem(last=False)
        return analysis

    def _progress(self, fraction: float, text: str) -> None:
        self._tell({"kind": "progress", "fraction": float(fraction), "text": text[:200]})

    def _beat(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(ALIVE_SECONDS):
            self._tell({"kind": "alive"})

    def _tell(self, message: Message) -> None:
        with self._lock:
            send(self._channel, message)


def _described(error: Exception) -> Message:
    """Say which error and where, but not its message: a plugin's message may quote what it has read."""
    own = type(error).__module__.startswith("medaet.")
    where = traceback.extract_tb(error.__traceback__)[-6:]
    return {
        "error": type(error).__name__,
        "reason": str(error)[:500] if own else "",
        "frames": [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in where],
    }


def main() -> None:
    """Isolate this process, load the plugins, say hello and work."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--agent", type=int, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--module", action="append", default=[])
    options = parser.parse_args()
    network_cut = isolate(options.agent)
    channel = socket.socket(fileno=options.fd)
    registry = discover(options.module)
    child = Child(channel, options.device, registry)
    send(channel, {"kind": "hello", "network_cut": network_cut, "device": options.device})
    try:
        child.run()
    finally:
        os._exit(0)  # no exit handlers: torch's take a second, and there is nothing to keep


if __name__ == "__main__":
    main()
