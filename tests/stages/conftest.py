"""Stores and queues for stages, on each kind of database; receivers on each engine."""

import contextlib
import functools
from pathlib import Path

import pytest

from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.studies import StudyStore
from medaet.store.tables import Base
from medaet.testing.clock import FakeClock
from medaet.testing.rows import Receiver
from tests.stages.dashboards import configured, filled
from tests.stages.hall import Hall
from tests.stages.receiving import ENGINES, Listening, listening


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", durable=False)


@pytest.fixture
def instances(database: Database, clock: FakeClock) -> InstanceStore:
    return InstanceStore(database, clock)


@pytest.fixture
def receive(instances: InstanceStore) -> Receiver:
    return Receiver(instances)


@pytest.fixture
def studies(database: Database, clock: FakeClock) -> StudyStore:
    return StudyStore(database, clock)


@pytest.fixture
def jobs(database: Database, clock: FakeClock) -> JobQueue:
    return JobQueue(database, clock, maximum_attempts=3, jitter=lambda: 1.0)


@pytest.fixture
def deliveries(database: Database, clock: FakeClock) -> DeliveryQueue:
    return DeliveryQueue(database, clock, jitter=lambda: 1.0)


@pytest.fixture
def events(database: Database) -> EventStore:
    return EventStore(database)


@pytest.fixture(params=list(ENGINES))
def serve(request: pytest.FixtureRequest) -> Listening:
    """Run a storage SCP with a sink, once on each engine."""
    return functools.partial(listening, request.param)


@pytest.fixture
def serve_own() -> Listening:
    """Run a storage SCP with a sink, on the engine of our own."""
    return functools.partial(listening, "own")


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


@pytest.fixture
def dashboard_url(tmp_path: Path, clock: FakeClock) -> str:
    """The URL of a SQLite database with something to show."""
    url = f"sqlite:///{tmp_path / 'medaet.db'}"
    with contextlib.closing(Database(url, durable=False)) as database:
        Base.metadata.create_all(database.engine)
        filled(database, configured(tmp_path, url), clock)
    return url
