"""The stage that dispatches, what comes before it, and what it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from medaet import Analysis, SeriesSelector
from medaet.config.model import Config
from medaet.plugin.environments import EnvironmentStore
from medaet.plugin.models import ModelStore
from medaet.plugin.registry import Registry
from medaet.queue.jobs import JobQueue
from medaet.queue.rows import Job
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.files import Spool
from medaet.store.studies import StudyStore
from medaet.testing.clock import FakeClock
from medaet.testing.rows import Receiver
from medaet_daemon.dispatch import Dispatch

STUDY = "1.2.1"


class Chest(Analysis):
    """Takes a CT of the chest."""

    name: ClassVar[str] = "chest"
    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "ct": SeriesSelector(modality="CT", body_part=("CHEST",))
    }


@dataclass
class Hall:
    """The stage, what comes before it, and what it leaves."""

    database: Database
    spool: Spool
    studies: StudyStore
    jobs: JobQueue
    events: EventStore
    receive: Receiver
    clock: FakeClock
    models: Path | None = None

    def dispatch(self, *analyses: type[Analysis], config: Mapping[str, object]) -> list[Job]:
        """Close what is open, dispatch everything, and return the jobs, the oldest first."""
        for row in self.studies.series_of(1):
            self.studies.close(row.id, row.generation, "quiet")
        registry = Registry(
            analyses={one.name: one for one in analyses},
            store=ModelStore(self.models) if self.models else None,
            environments=EnvironmentStore(self.models) if self.models else None,
        )
        stage = Dispatch(
            self.database,
            self.spool,
            self.jobs,
            registry,
            Config.model_validate(config),
            self.clock,
        )
        while not stage.step():
            pass
        return sorted(self.jobs.list(), key=lambda job: job.id)

    def told(self, name: str) -> list[Mapping[str, object]]:
        return [one.details for one in self.events.of_study(STUDY) if one.name == name]


def routed(*analyses: str, **route: object) -> dict[str, object]:
    return {"routes": [{"analyses": list(analyses), **route}]}
