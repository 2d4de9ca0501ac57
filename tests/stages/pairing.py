"""Analyses of several series, and a site that receives and dispatches series of several studies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydicom import Dataset

from medaet import Analysis, Partner, SeriesSelector
from medaet.cli.explain import sentence
from medaet.config.model import Config
from medaet.dicom.uid import derived_uid
from medaet.network.spooling import SpoolSink
from medaet.plugin.registry import Registry
from medaet.queue.jobs import JobQueue
from medaet.queue.rows import Job
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.matching_table import WaitingRow
from medaet.store.studies import StudyStore
from medaet.testing.clock import FakeClock
from medaet.testing.phantom import write_series
from medaet.testing.work import store
from medaet_daemon.dispatch import Dispatch

ANNA = {
    "PatientID": "4711",
    "IssuerOfPatientID": "HOSPITAL",
    "PatientName": "Meier^Anna",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
}


NOTHING: Mapping[str, str | None] = {}


class Fusion(Analysis):
    """Takes a CT, and an MR of the same patient taken within a day; waits half an hour."""

    name: ClassVar[str] = "fusion"
    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "ct": SeriesSelector(modality="CT"),
        "mr": SeriesSelector(modality="MR"),
    }
    partners: ClassVar[Mapping[str, Partner]] = {
        "mr": Partner("patient", within_hours=24, wait_minutes=30)
    }


class Tolerant(Fusion):
    """Runs without the MR."""

    partners: ClassVar[Mapping[str, Partner]] = {
        "mr": Partner("patient", within_hours=24, wait_minutes=30, optional=True)
    }


class Impatient(Fusion):
    """Takes an MR that is there, and does not wait."""

    partners: ClassVar[Mapping[str, Partner]] = {
        "mr": Partner("patient", within_hours=24, wait_minutes=0, optional=True)
    }


class Change(Analysis):
    """Takes an MR and the one before it."""

    name: ClassVar[str] = "change"
    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "current": SeriesSelector(modality="MR"),
        "prior": SeriesSelector(modality="MR"),
    }
    partners: ClassVar[Mapping[str, Partner]] = {"prior": Partner("prior", wait_minutes=30)}


class Alike(Change):
    """Takes an MR and an earlier one of the same sort."""

    partners: ClassVar[Mapping[str, Partner]] = {
        "prior": Partner("prior", wait_minutes=30, same_description=True)
    }


@dataclass
class Site:
    """Stores, and the stage under test with one analysis."""

    folder: Path
    database: Database
    spool: Spool
    instances: InstanceStore
    studies: StudyStore
    jobs: JobQueue
    events: EventStore
    clock: FakeClock
    analysis: type[Analysis] = Fusion
    received: list[str] = field(default_factory=list)

    def receive(
        self,
        modality: str,
        date: str = "20260504",
        patient: Mapping[str, str | None] = NOTHING,
        *,
        hold: bool = False,
    ) -> str:
        """Store a series as the receiver does, close and dispatch it; return its Study Instance UID."""
        number = len(self.received)
        uid = derived_uid(f"study {number}")

        def change(dataset: Dataset, _slice: int) -> None:
            dataset.StudyInstanceUID = uid
            for keyword in ("Study", "Series", "Acquisition"):
                setattr(dataset, f"{keyword}Date", date)
            for keyword, value in {**ANNA, **patient}.items():
                setattr(dataset, keyword, value or "")

        where = self.folder / str(number)
        sink = SpoolSink(self.spool, self.database, self.clock)
        for path in write_series(
            where, modality=modality, shape=(2, 4, 4), change=change, seed=number
        ):
            recorded = store(path, sink)
        self.received.append(uid)
        self.studies.close(recorded.series_id, 1, "quiet")
        if not hold:
            self.dispatch()
        return uid

    def dispatch(self) -> None:
        registry = Registry(analyses={self.analysis.name: self.analysis})
        routes = [{"analyses": [self.analysis.name], "when": {"modality": ["CT", "MR"]}}]
        stage = Dispatch(
            self.database,
            self.spool,
            self.jobs,
            registry,
            Config.model_validate({"routes": routes}),
            self.clock,
        )
        while not stage.step():
            pass

    def listed(self) -> list[Job]:
        return sorted(self.jobs.list(), key=lambda job: job.id)

    def told(self, study: str, name: str) -> list[str]:
        return [sentence(one) for one in self.events.of_study(study) if one.name == name]

    def waiting(self) -> int:
        with self.database.read() as session:
            return session.query(WaitingRow).count()
