"""What a dead process held goes back to where others find it."""

from datetime import timedelta

from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.tables import DeliveryState, JobState
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE, Shelf
from medaet_daemon.rescue import Rescue


def test_job_and_delivery_of_a_dead_process_are_ready_again_after_their_lease(
    database: Database, jobs: JobQueue, deliveries: DeliveryQueue, clock: FakeClock
) -> None:
    shelf = Shelf.filled(database, jobs, clock.now())
    shelf.enqueue(shelf.job("one"))
    shelf.done()
    shelf.enqueue(shelf.job("two", analysis="liver"))
    held = shelf.leased()
    assert deliveries.lease_batch("sender", LEASE)
    stage = Rescue(jobs, deliveries)
    stage.step()
    assert jobs.get(held.id).state is JobState.LEASED
    clock.advance(LEASE + timedelta(seconds=1))
    stage.step()
    assert jobs.get(held.id).state is JobState.READY
    assert [one.state for one in deliveries.list()] == [DeliveryState.READY]
