"""Stores and queues for stages, on each kind of database; receivers on each engine."""

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
from medaet.testing.clock import FakeClock
from medaet.testing.rows import Receiver
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
