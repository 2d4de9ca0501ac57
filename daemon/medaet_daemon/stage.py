"""A stage: something done over and over, one unit of work a step."""

import threading
from datetime import timedelta
from typing import Protocol

import structlog

from medaet import logs
from medaet.errors import MedaetError

log = structlog.get_logger()

FAILED_STEP_WAIT = timedelta(seconds=5)


class Stage(Protocol):
    """One verb of the flow."""

    @property
    def name(self) -> str:
        """The verb, for logs."""
        ...

    def step(self) -> timedelta:
        """Do the next unit of work, if there is one.

        Returns:
            How long to wait before the next step; zero when there may be more to do.
        """
        ...


def run(stage: Stage, stopping: threading.Event) -> None:
    """Repeat a stage until `stopping` is set; an error costs a pause, never the stage."""
    while not stopping.is_set():
        try:
            wait = stage.step()
        except MedaetError as error:
            log.error(
                "stage.failed", stage=stage.name, error=type(error).__name__, reason=str(error)
            )
            wait = FAILED_STEP_WAIT
        except Exception as error:  # noqa: BLE001 -- a defect in one step must not end the stage
            log.error("stage.failed", stage=stage.name, **logs.frames(error))
            wait = FAILED_STEP_WAIT
        stopping.wait(wait.total_seconds())
