"""Work on training runs, on devices of their own or on borrowed ones while no STAT job wants those."""

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from medaet.errors import LeaseLostError
from medaet.queue.trainings import Training, TrainingQueue
from medaet.worker.training import COMMAND, TrainingProcess

log = structlog.get_logger()

IDLE = timedelta(seconds=1)
WATCH = timedelta(milliseconds=300)
"""How long a STAT job may wait for a borrowed device, at most."""

REPORT_STEPS = 5


class Train:
    """The stage that owns the training devices; one run at a time.

    Args:
        runs: The queue.
        devices: To train on, in torch's spelling.
        lease: How long this process may be silent before another takes its run.
        borrowed: Whether inference uses the devices too.
        processors: CPU cores that training may use; none for all.
        command: Starts the training of a run.
    """

    name = "train"

    def __init__(
        self,
        runs: TrainingQueue,
        devices: Sequence[str],
        lease: timedelta,
        *,
        borrowed: bool = False,
        processors: Sequence[int] = (),
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._runs = runs
        self._devices = tuple(devices)
        self._lease = lease
        self._borrowed = borrowed
        self._processors = tuple(processors)
        self._command = tuple(command)
        self._worker = f"{socket.gethostname()} {os.getpid()} training"
        self._held: tuple[Training, TrainingProcess] | None = None
        self._steps = 0

    def step(self) -> timedelta:
        """Start a run when there is one to start, else look after the one that is under way."""
        if self._held is None:
            return self._start()
        training, process = self._held
        try:
            self._watch(training, process)
        except LeaseLostError as error:
            log.warning("lease.lost", training_id=training.id, reason=str(error))
            self._held = None
            process.close()
        return WATCH

    def close(self) -> None:
        """End the run in progress and hand it back: another process goes on with it."""
        if self._held is None:
            return
        training, process = self._held
        process.close()
        try:
            self._runs.hand_back(training)
        except LeaseLostError as error:
            log.warning("lease.lost", training_id=training.id, reason=str(error))

    def _start(self) -> timedelta:
        if self._urgent():
            return WATCH
        training = self._runs.lease(self._worker, self._lease)
        if training is None:
            return IDLE
        process = TrainingProcess(
            Path(training.folder),
            training.configuration,
            self._devices,
            self._processors,
            command=self._command,
        )
        self._held, self._steps = (training, process), 0
        log.info(
            "training.started",
            training_id=training.id,
            model=training.name,
            attempt=training.attempt,
        )
        return WATCH

    def _watch(self, training: Training, process: TrainingProcess) -> None:
        if not process.running:
            self._held = None
            self._end(training, process)
            return
        urgent = self._urgent()
        if urgent and not process.paused:
            process.pause()
            log.info("training.paused", training_id=training.id)
        elif process.paused and not urgent:
            process.go_on()
            log.info("training.resumed", training_id=training.id)
        self._steps += 1
        if self._steps % REPORT_STEPS == 0:
            self._runs.report(training, process.status(), self._lease)

    def _end(self, training: Training, process: TrainingProcess) -> None:
        error = process.outcome()
        bound = log.bind(training_id=training.id, model=training.name, attempt=training.attempt)
        self._runs.report(training, process.status(), self._lease)
        if error is None:
            self._runs.complete(training)
            bound.info("training.finished", version=training.version)
        else:
            self._runs.fail(training, error)
            bound.error("training.failed", error=type(error).__name__, reason=str(error))

    def _urgent(self) -> bool:
        return self._borrowed and self._runs.stat_job_waits()
