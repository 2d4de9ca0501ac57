"""Queues, and rows to put into them."""

import pytest

from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.instances import InstanceStore
from medaet.store.studies import StudyStore
from medaet.testing.clock import FakeClock
from medaet.testing.rows import Receiver, Shelf


@pytest.fixture
def queue(database: Database, clock: FakeClock) -> JobQueue:
    return JobQueue(database, clock, maximum_attempts=3, jitter=lambda: 1.0)


@pytest.fixture
def deliveries(database: Database, clock: FakeClock) -> DeliveryQueue:
    return DeliveryQueue(database, clock, jitter=lambda: 1.0)


@pytest.fixture
def shelf(database: Database, queue: JobQueue, clock: FakeClock) -> Shelf:
    return Shelf.filled(database, queue, clock.now())


@pytest.fixture
def instances(database: Database, clock: FakeClock) -> InstanceStore:
    return InstanceStore(database, clock)


@pytest.fixture
def receive(instances: InstanceStore) -> Receiver:
    return Receiver(instances)


@pytest.fixture
def studies(database: Database, clock: FakeClock) -> StudyStore:
    return StudyStore(database, clock)
