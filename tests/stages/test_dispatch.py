"""Which closed series become which jobs, and the reasons that are written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from pydicom import Dataset
from sqlalchemy import select, update

from medaet import Analysis, SeriesSelector
from medaet.config.model import Config
from medaet.network.spooling import SpoolSink
from medaet.plugin.registry import Registry
from medaet.queue.jobs import JobQueue
from medaet.queue.rows import Job
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.studies import StudyStore
from medaet.store.tables import (
    InstanceRow,
    JobState,
    Priority,
    ResultRow,
    SeriesRow,
    SeriesState,
)
from medaet.testing.clock import FakeClock
from medaet.testing.drawing import write_structures
from medaet.testing.phantom import write_series
from medaet.testing.rows import Receiver
from medaet.testing.work import store
from medaet_daemon.dispatch import Dispatch

STUDY = "1.2.1"


class Chest(Analysis):
    """Takes a CT of the chest."""

    name: ClassVar[str] = "chest"
    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "ct": SeriesSelector(modality="CT", body_part=("CHEST",))
    }


class Brain(Analysis):
    """Takes an MR of the brain."""

    name: ClassVar[str] = "brain"
    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "mr": SeriesSelector(modality="MR", min_slices=2)
    }


class Pair(Analysis):
    """Takes two CTs."""

    name: ClassVar[str] = "pair"
    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "first": SeriesSelector(modality="CT"),
        "second": SeriesSelector(modality="CT"),
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

    def dispatch(self, *analyses: type[Analysis], config: Mapping[str, object]) -> list[Job]:
        """Close what is open, dispatch everything, and return the jobs, the oldest first."""
        for row in self.studies.series_of(1):
            self.studies.close(row.id, row.generation, "quiet")
        registry = Registry(analyses={one.name: one for one in analyses})
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


@pytest.fixture
def hall(  # noqa: PLR0917 -- everything that a hall holds
    database: Database,
    spool: Spool,
    studies: StudyStore,
    jobs: JobQueue,
    events: EventStore,
    receive: Receiver,
    clock: FakeClock,
) -> Hall:
    return Hall(database, spool, studies, jobs, events, receive, clock)


def _routed(*analyses: str, **route: object) -> dict[str, object]:
    return {"routes": [{"analyses": list(analyses), **route}]}


def test_fitting_series_becomes_a_job_with_its_generation(hall: Hall) -> None:
    series = hall.receive(1).series_id
    (job,) = hall.dispatch(Chest, config=_routed("chest"))
    assert (job.analysis, job.state) == ("chest", JobState.READY)
    assert job.inputs == {"ct": (series, 1)}
    assert [one["job"] for one in hall.told("analysis.matched")] == [job.id]


def test_reasons_against_name_the_attribute_and_its_value(hall: Hall) -> None:
    hall.receive(1)
    assert not hall.dispatch(Brain, config=_routed("brain"))
    (told,) = hall.told("analysis.unmatched")
    assert told["role"] == "mr"
    assert told["failed"] == [
        "Modality is 'CT', wanted MR",
        "slices is '1', wanted at least 2",
    ]


def test_fitting_series_without_a_route_is_told(hall: Hall) -> None:
    hall.receive(1)
    assert not hall.dispatch(Chest, config={})
    assert hall.told("analysis.unrouted") == [{"analysis": "chest"}]


@pytest.mark.parametrize(
    ("when", "count"),
    [
        ({"modality": "ct"}, 1),
        ({"modality": ["MR"]}, 0),
        ({"body_part": ["HEAD", "CHEST"], "calling_ae_title": "CT1"}, 1),
        ({"calling_ae_title": "CT2"}, 0),
        ({"called_ae_title": "MEDAET"}, 1),
    ],
)
def test_every_key_of_when_must_match(hall: Hall, when: object, count: int) -> None:
    hall.receive(1)
    assert len(hall.dispatch(Chest, config=_routed("chest", when=when))) == count


def test_roles_wait_for_each_other(hall: Hall) -> None:
    first = hall.receive(1, series=1).series_id
    assert not hall.dispatch(Pair, config=_routed("pair"))
    assert hall.told("analysis.waiting")[0]["roles"] == ["second"]
    second = hall.receive(1, series=2).series_id
    (job,) = hall.dispatch(Pair, config=_routed("pair"))
    assert {one.series_id for one in job.inputs.values()} == {first, second}


def test_recipients_of_all_routes_are_joined_and_the_sender_found(hall: Hall) -> None:
    hall.receive(1)
    peers = [
        {"name": "scanner", "ae_title": "CT1", "host": "h"},
        {"name": "pacs", "ae_title": "PACS", "host": "h"},
    ]
    routes = [
        {"analyses": ["chest"], "send_to": ["pacs", "sender"]},
        {"analyses": ["chest"], "send_to": ["pacs"], "priority": "stat"},
    ]
    (job,) = hall.dispatch(Chest, config={"peers": peers, "routes": routes})
    assert job.send_to == ("pacs", "scanner")
    assert job.priority is Priority.STAT


def test_settings_of_the_configuration_become_part_of_the_job(hall: Hall) -> None:
    hall.receive(1)
    config = {**_routed("chest"), "plugins": {"chest": {"threshold": 3}}}
    (job,) = hall.dispatch(Chest, config=config)
    assert job.settings == {"threshold": 3}


def test_late_instance_supersedes_the_job_of_the_generation_before(hall: Hall) -> None:
    series = hall.receive(1).series_id
    hall.dispatch(Chest, config=_routed("chest"))
    hall.receive(2)
    old, new = hall.dispatch(Chest, config=_routed("chest"))
    assert (old.state, new.state) == (JobState.SUPERSEDED, JobState.READY)
    assert new.inputs == {"ct": (series, 2)}
    assert new.key != old.key


def test_same_bytes_again_make_no_second_job(hall: Hall) -> None:
    hall.receive(1)
    hall.dispatch(Chest, config=_routed("chest"))
    hall.receive(1)
    assert len(hall.dispatch(Chest, config=_routed("chest"))) == 1


def test_other_bytes_under_a_known_uid_make_a_new_job(hall: Hall) -> None:
    hall.receive(1, b"old")
    hall.dispatch(Chest, config=_routed("chest"))
    hall.receive(1, b"new")
    old, new = hall.dispatch(Chest, config=_routed("chest"))
    assert (old.state, new.state) == (JobState.SUPERSEDED, JobState.READY)


class Drawn(Analysis):
    """Takes a CT and what is drawn on it."""

    name: ClassVar[str] = "drawn"
    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "image": SeriesSelector(modality="CT"),
        "regions": SeriesSelector(modality=("SEG", "RTSTRUCT"), refers_to="image"),
    }


class Ward:
    """Two CT series of one study and what is drawn on them, received as files."""

    def __init__(self, hall: Hall, instances: InstanceStore, folder: Path) -> None:
        self._sink = SpoolSink(hall.spool, instances.database, FakeClock())
        self._folder = folder

    def receive(self, path: Path) -> int:
        return store(path, self._sink).series_id

    def image(self, seed: int) -> tuple[Path, int]:
        def change(dataset: Dataset, _number: int) -> None:
            dataset.StudyInstanceUID = STUDY

        folder = self._folder / f"ct{seed}"
        (path,) = write_series(folder, shape=(1, 8, 8), seed=seed, change=change)
        return path, self.receive(path)

    def structures(self, image: Path) -> int:
        return self.receive(write_structures(self._folder / "rt.dcm", [image], {"GTV": [SQUARE]}))


SQUARE = [(1.5, 1.5, 0.0), (5.5, 1.5, 0.0), (5.5, 4.5, 0.0), (1.5, 4.5, 0.0)]


@pytest.fixture
def ward(hall: Hall, instances: InstanceStore, tmp_path: Path) -> Ward:
    return Ward(hall, instances, tmp_path)


def test_object_is_joined_with_the_series_it_refers_to_not_with_the_newest(
    hall: Hall, ward: Ward
) -> None:
    image, first = ward.image(1)
    _, second = ward.image(2)
    assert not hall.dispatch(Drawn, config=_routed("drawn"))
    assert {tuple(one["roles"]) for one in hall.told("analysis.waiting")} == {("regions",)}  # type: ignore[arg-type]
    drawn = ward.structures(image)
    (job,) = hall.dispatch(Drawn, config=_routed("drawn"))
    taken = {role: one.series_id for role, one in job.inputs.items()}
    assert taken == {"image": first, "regions": drawn}
    assert second not in taken.values()


def test_object_that_comes_before_its_series_waits_for_it(hall: Hall, ward: Ward) -> None:
    image, _ = ward.image(1)
    drawn = ward.structures(image)
    (job,) = hall.dispatch(Drawn, config=_routed("drawn"))
    assert job.inputs["regions"].series_id == drawn


def test_object_without_a_reference_says_so(hall: Hall, ward: Ward, tmp_path: Path) -> None:
    image, _ = ward.image(1)
    path = write_structures(tmp_path / "rt.dcm", [image], {"GTV": [SQUARE]}, refers=False)
    ward.receive(path)
    assert not hall.dispatch(Drawn, config=_routed("drawn"))
    said = [one["failed"] for one in hall.told("analysis.unmatched") if one["role"] == "regions"]
    assert ["references is absent, wanted a series as image"] in said


def test_result_that_comes_back_does_not_start_its_own_analysis_again(
    hall: Hall, ward: Ward
) -> None:
    image, _ = ward.image(1)
    drawn = ward.structures(image)
    (job,) = hall.dispatch(Drawn, config=_routed("drawn"))
    with hall.database.write() as session:
        session.execute(
            update(SeriesRow)
            .where(SeriesRow.id == drawn)
            .values(modality="SEG", state=SeriesState.CLOSED)
        )
        instance = session.scalars(select(InstanceRow).where(InstanceRow.series_id == drawn)).one()
        session.add(
            ResultRow(
                job_id=job.id,
                kind="SEG",
                sop_class_uid=instance.sop_class_uid,
                sop_instance_uid=instance.sop_instance_uid,
                series_instance_uid="1.2.3",
                path="",
                sha256="",
                size_bytes=0,
                proof={},
                created_at=hall.clock.now(),
            )
        )
    told = len(hall.told("analysis.matched"))
    hall.dispatch(Drawn, config=_routed("drawn"))
    assert len(hall.told("analysis.matched")) == told
