"""When a series counts as complete, and what a late instance does to it."""

from datetime import timedelta

import pytest

from medaet.config.model import SeriesSection
from medaet.store.events import EventStore
from medaet.store.studies import StudyStore
from medaet.store.tables import SeriesState
from medaet.testing.clock import FakeClock
from medaet.testing.rows import Receiver
from medaet_daemon.assemble import Assemble

SECOND = timedelta(seconds=1)
STUDY = "1.2.1"


@pytest.fixture
def assemble(studies: StudyStore, clock: FakeClock) -> Assemble:
    rules = SeriesSection(quiet_period_seconds=20, maximum_wait_seconds=60)
    return Assemble(studies, rules, clock)


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
