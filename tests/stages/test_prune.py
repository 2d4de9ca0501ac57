"""Retention: what may go, and what never does."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from medaet import Findings, Segment
from medaet.codes import LUNG
from medaet.config.model import Config
from medaet.errors import GeometryError
from medaet.plugin.registry import Registry
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.studies import StudyStore
from medaet.store.tables import SeriesRow, SeriesState
from medaet.testing.clock import FakeClock
from medaet.testing.phantom import write_series
from medaet.testing.rows import LEASE
from medaet.testing.work import Work
from medaet_daemon.encode import Encode
from medaet_daemon.inputs import Inputs
from medaet_daemon.plans import PeerPlans
from medaet_daemon.prune import Prune
from tests.stages.test_encode import Tame

KEEP = timedelta(days=7)


@pytest.fixture
def work(
    tmp_path: Path, spool: Spool, instances: InstanceStore, jobs: JobQueue, database: Database
) -> Work:
    one = Work.received(write_series(tmp_path / "ct"), spool, instances, jobs)
    with database.write() as session:
        session.execute(update(SeriesRow).values(state=SeriesState.DISPATCHED))
    return one


def _encoded(work: Work) -> None:
    mask = np.ones(work.volume.voxels.shape, dtype=np.bool_)
    work.analysed(Findings([Segment("All", mask, LUNG)]))
    registry = Registry(analyses={"zoo-tame": Tame})
    inputs = Inputs(work.instances, work.spool, registry)
    Encode(inputs, work.spool, work.jobs, registry, PeerPlans(Config())).step()


def _sent(deliveries: DeliveryQueue) -> None:
    for one in deliveries.lease_batch("sender", LEASE):
        deliveries.sent(one, 0)


def _pruned(database: Database, spool: Spool, clock: FakeClock, studies: StudyStore) -> bool:
    Prune(database, spool, KEEP, clock).step()
    return not studies.list()


def _files(spool: Spool) -> list[Path]:
    return [path for path in spool.root.rglob("*") if path.is_file()]


def test_delivered_study_goes_with_every_file_of_it(
    work: Work,
    database: Database,
    deliveries: DeliveryQueue,
    studies: StudyStore,
    clock: FakeClock,
) -> None:
    _encoded(work)
    _sent(deliveries)
    clock.advance(KEEP - timedelta(seconds=1))
    assert not _pruned(database, work.spool, clock, studies)
    clock.advance(timedelta(seconds=2))
    assert _pruned(database, work.spool, clock, studies)
    assert not _files(work.spool)


def test_study_with_an_undelivered_result_stays(
    work: Work, database: Database, studies: StudyStore, clock: FakeClock
) -> None:
    _encoded(work)
    clock.advance(10 * KEEP)
    assert not _pruned(database, work.spool, clock, studies)


def test_study_with_a_dead_letter_stays_for_a_person(
    work: Work, database: Database, studies: StudyStore, clock: FakeClock
) -> None:
    job = work.jobs.lease("worker", LEASE)
    assert job is not None
    work.jobs.fail(job, GeometryError("slices are missing"))
    clock.advance(10 * KEEP)
    assert not _pruned(database, work.spool, clock, studies)


def test_study_that_waits_for_its_job_stays(
    work: Work, database: Database, studies: StudyStore, clock: FakeClock
) -> None:
    clock.advance(10 * KEEP)
    assert not _pruned(database, work.spool, clock, studies)
