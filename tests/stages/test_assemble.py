"""When a series counts as complete, and what a late instance does to it."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from medaet.config.model import Config, SeriesSection
from medaet.network.spooling import SpoolSink
from medaet.store.events import EventStore
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.studies import StudyStore
from medaet.store.tables import SeriesState
from medaet.testing.clock import FakeClock
from medaet.testing.phantom import write_series
from medaet.testing.rows import Receiver
from medaet.testing.work import store
from medaet_daemon.assemble import Assemble
from medaet_daemon.source import Source

SECOND = timedelta(seconds=1)
STUDY = "1.2.1"


@pytest.fixture
def assemble(
    studies: StudyStore, instances: InstanceStore, spool: Spool, clock: FakeClock
) -> Assemble:
    rules = SeriesSection(quiet_period_seconds=20, maximum_wait_seconds=60)
    return Assemble(studies, instances, spool, rules, clock, Source(Config(), clock))


def test_series_stays_open_while_instances_come(
    assemble: Assemble, receive: Receiver, studies: StudyStore, clock: FakeClock
) -> None:
    receive(1)
    clock.advance(15 * SECOND)
    receive(2)
    clock.advance(15 * SECOND)
    assemble.step()
    assert studies.show(STUDY)[1][0].state is SeriesState.OPEN


def test_quiet_series_closes_and_says_why(
    assemble: Assemble,
    receive: Receiver,
    studies: StudyStore,
    events: EventStore,
    clock: FakeClock,
) -> None:
    receive(1)
    clock.advance(20 * SECOND)
    assemble.step()
    (series,) = studies.show(STUDY)[1]
    assert (series.state, series.close_reason) == (SeriesState.CLOSED, "no instance for 20 s")
    told = [one for one in events.of_study(STUDY) if one.name == "series.closed"]
    assert [one.details["reason"] for one in told] == ["no instance for 20 s"]


def test_series_that_never_falls_silent_closes_after_the_longest_wait(
    assemble: Assemble, receive: Receiver, studies: StudyStore, clock: FakeClock
) -> None:
    for number in range(6):
        receive(number)
        clock.advance(10 * SECOND)
        assemble.step()
    (series,) = studies.show(STUDY)[1]
    assert series.close_reason == "open for 60 s, the longest wait"


def test_each_series_has_a_quiet_period_of_its_own(
    assemble: Assemble, receive: Receiver, studies: StudyStore, clock: FakeClock
) -> None:
    receive(1, series=1)
    clock.advance(15 * SECOND)
    receive(1, series=2)
    clock.advance(5 * SECOND)
    assemble.step()
    states = {one.series_instance_uid: one.state for one in studies.show(STUDY)[1]}
    assert states == {"1.2.1.1": SeriesState.CLOSED, "1.2.1.2": SeriesState.OPEN}


def test_late_instance_reopens_the_series_as_its_next_generation(
    assemble: Assemble, receive: Receiver, studies: StudyStore, clock: FakeClock
) -> None:
    receive(1)
    clock.advance(20 * SECOND)
    assemble.step()
    receive(2)
    assert studies.show(STUDY)[1][0].generation == 2
    clock.advance(20 * SECOND)
    assemble.step()
    (series,) = studies.show(STUDY)[1]
    assert (series.state, series.generation) == (SeriesState.CLOSED, 2)


def test_repeated_instance_leaves_a_closed_series_closed(
    assemble: Assemble, receive: Receiver, studies: StudyStore, clock: FakeClock
) -> None:
    receive(1)
    clock.advance(20 * SECOND)
    assemble.step()
    receive(1)
    (series,) = studies.show(STUDY)[1]
    assert (series.state, series.generation) == (SeriesState.CLOSED, 1)


def test_series_has_the_digest_of_each_instance_once_it_is_closed(
    assemble: Assemble, instances: InstanceStore, spool: Spool, clock: FakeClock, tmp_path: Path
) -> None:
    sink = SpoolSink(spool, instances.database, clock)
    paths = write_series(tmp_path / "series", shape=(3, 4, 4))
    recorded = [store(path, sink) for path in paths]
    assert [digest for _, digest in instances.digests(recorded[0].series_id)] == [None] * 3
    clock.advance(20 * SECOND)
    assemble.step()
    files = [spool.path(path) for path in instances.paths(recorded[0].series_id)]
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    assert [digest for _, digest in instances.digests(recorded[0].series_id)] == expected


def test_series_with_a_file_that_cannot_be_read_closes_all_the_same(
    assemble: Assemble,
    instances: InstanceStore,
    studies: StudyStore,
    spool: Spool,
    clock: FakeClock,
    tmp_path: Path,
) -> None:
    sink = SpoolSink(spool, instances.database, clock)
    paths = write_series(tmp_path / "series", shape=(2, 4, 4))
    recorded = [store(path, sink) for path in paths]
    spool.path(instances.paths(recorded[0].series_id)[0]).unlink()
    clock.advance(20 * SECOND)
    assemble.step()
    assert studies.series_of(recorded[0].study_id)[0].state is SeriesState.CLOSED
    assert [digest is None for _, digest in instances.digests(recorded[0].series_id)] == [
        True,
        False,
    ]
