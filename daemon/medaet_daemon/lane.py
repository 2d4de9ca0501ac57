"""A lane to a worker child: several are worked in at once, so that the next job is read while one computes."""

from dataclasses import dataclass
from datetime import timedelta

from medaet.store.tables import Priority
from medaet.worker.child import WorkerChild

PATIENCE = timedelta(seconds=1)
STAT_PATIENCE = timedelta(milliseconds=400)
"""A little longer than idle workers sleep: they come first."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One way for jobs into a child.

    Attributes:
        child: Shared by the lanes of a device.
        name: Of the stage that works in it.
        only: Which jobs take it; None for all.
    """

    child: WorkerChild
    name: str = "analyse"
    only: Priority | None = None

    @property
    def waited(self) -> timedelta:
        """How long a job must have been due before it is taken: a busy device leaves new ones to idle devices."""
        if not self.child.busy:
            return timedelta(0)
        return STAT_PATIENCE if self.only is Priority.STAT else PATIENCE


def lanes(child: WorkerChild) -> list[Lane]:
    """Lay two lanes for all jobs, of which one computes and one is ready, and one for urgent jobs alone."""
    return [Lane(child), Lane(child, "analyse-next"), Lane(child, "analyse-stat", Priority.STAT)]
