"""A training run in a process of its own: started, watched, paused and ended by its agent."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medaet.errors import ConfigError, MedaetError, TrainingError
from medaet.worker import pausing

COMMAND = (sys.executable, "-P", "-m", "medaet.worker.trainer")
CONFIG, STATUS, LOG = "queued.json", "status.json", "training.log"
WRONG_USAGE = 2
REASON_BYTES = 4096
END_SECONDS = 10.0


class TrainingProcess:
    """One run.

    Args:
        folder: Of the run.
        configuration: The whole training configuration.
        devices: To train on, in torch's spelling.
        processors: Numbers of the CPU cores it may use; none for all.
        command: Starts the training; arguments follow.
    """

    def __init__(
        self,
        folder: Path,
        configuration: Mapping[str, Any],
        devices: Sequence[str],
        processors: Sequence[int] = (),
        *,
        command: Sequence[str] = COMMAND,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / CONFIG
        config.write_text(json.dumps(dict(configuration)), encoding="utf-8")
        self._folder = folder
        self.paused = False
        arguments = [str(config), "--out", str(folder), "--agent", str(os.getpid())]
        for device in devices:
            arguments += ["--device", device]
        for number in processors:
            arguments += ["--processor", str(number)]
        with (folder / LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # status.json says the same
                stderr=log,
                start_new_session=True,  # so that all of its processes pause together
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended, paused or not."""
        return self._process.poll() is None

    @property
    def process_id(self) -> int:
        """Of the first process, and of the group of all."""
        return self._process.pid

    def status(self) -> dict[str, Any]:
        """Say how far the run is."""
        try:
            status: dict[str, Any] = json.loads((self._folder / STATUS).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # nothing is written yet
            status = {"phase": "starting"}
        return {**status, "phase": "paused"} if self.paused else status

    def pause(self) -> None:
        """Stop computing this instant, the gate's child included; memory on the device stays taken."""
        pausing.stop(self._process.pid)
        self.paused = True

    def go_on(self) -> None:
        """Compute again."""
        pausing.go_on(self._process.pid)
        self.paused = False

    def outcome(self) -> MedaetError | None:
        """Say why an ended run failed; None when it did not."""
        status = self._process.wait()
        if status == 0:
            return None
        reason = self._reason() or f"the process ended with status {status}"
        return ConfigError(reason) if status == WRONG_USAGE else TrainingError(reason)

    def close(self) -> None:
        """End the run; what it has not kept in a checkpoint is computed again by the next attempt."""
        self._signal(signal.SIGTERM)
        pausing.go_on(self._process.pid)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _reason(self) -> str:
        """Return the reason of the last event of the log that has one; events hold no patient data."""
        with (self._folder / LOG).open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - REASON_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
        for line in reversed(lines):
            with contextlib.suppress(ValueError, AttributeError):
                reason = json.loads(line).get("reason")
                if reason:
                    return str(reason)
        return ""
