"""What a sender leaves behind decides when its series closes."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from structlog.testing import capture_logs

from medaet.config.model import Config, SeriesSection
from medaet.dicom.header import read_header
from medaet.errors import PeerUnavailableError
from medaet.network.spooling import SpoolSink
from medaet.store.associations import AssociationStore, Ending, Sender
from medaet.store.events import EventStore
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.studies import StudyStore
from medaet.store.tables import AssociationOutcome as Outcome
from medaet.store.tables import SeriesState
from medaet.testing.clock import FakeClock
from medaet.testing.phantom import write_series
from medaet.testing.work import store
from medaet_daemon import source as module
from medaet_daemon.assemble import Assemble
from medaet_daemon.source import Source

SECOND = timedelta(seconds=1)
PEER = {"name": "pacs", "ae_title": "PACS", "host": "10.0.0.2", "count_by_query": True}
Series = Callable[..., list[Path]]


class Scanner:
    """Sends files of one series into a sink, in associations that end as they are told to."""

    def __init__(self, sink: SpoolSink) -> None:
        self._sink = sink
        self.series_id = 0

    def send(self, paths: list[Path], outcome: Outcome | None = Outcome.RELEASED) -> None:
        sender = Sender("PACS", "MEDAET", "10.0.0.2")
        for path in paths:
            self.series_id = store(path, self._sink, sender).series_id
        if outcome is not None:
            self._sink.end(sender, Ending(outcome, len(paths), 0, 1000))


class Bench:
    """The stage, and the one series that it looks at."""

    def __init__(self, assemble: Assemble, studies: StudyStore, clock: FakeClock) -> None:
        self._assemble = assemble
        self._studies = studies
        self._clock = clock

    def after(self, seconds: float) -> str | None:
        """Let time pass and the stage look; return why the series is closed, None when it is open."""
        self._clock.advance(seconds * SECOND)
        self._assemble.step()
        (study,) = self._studies.list()
        (series,) = self._studies.show(study.study_instance_uid)[1]
        assert (series.state is SeriesState.OPEN) == (series.close_reason is None)
        return series.close_reason


@pytest.fixture
def scanner(spool: Spool, instances: InstanceStore, clock: FakeClock) -> Scanner:
    return Scanner(SpoolSink(spool, instances.database, clock, receiver="host/0"))


@pytest.fixture
def bench(studies: StudyStore, instances: InstanceStore, spool: Spool, clock: FakeClock) -> Bench:
    rules = SeriesSection(grace_period_seconds=3, quiet_period_seconds=20, maximum_wait_seconds=60)
    source = Source(Config.model_validate({"peers": [PEER | {"count_by_query": False}]}), clock)
    return Bench(Assemble(studies, instances, spool, rules, clock, source), studies, clock)


@pytest.fixture
def series(tmp_path: Path) -> Series:
    def write(count: int = 8, **more: object) -> list[Path]:
        def change(dataset: Dataset, _: int) -> None:
            for keyword, value in more.items():
                setattr(dataset, keyword, value)

        return write_series(tmp_path / "series", shape=(count, 4, 4), change=change)

    return write


def test_released_series_without_a_gap_closes_after_the_grace_period(
    scanner: Scanner, bench: Bench, series: Series
) -> None:
    scanner.send(series())
    assert bench.after(2.9) is None
    assert bench.after(0.1) == "complete: the sender released, 8 slices without a gap"


def test_grace_period_begins_with_the_release(
    scanner: Scanner, bench: Bench, series: Series, clock: FakeClock
) -> None:
    first, *others = series()
    scanner.send(others)
    clock.advance(2 * SECOND)
    scanner.send([first], None)
    assert bench.after(10) is None
    assert bench.after(10) == "no instance for 20 s"


def test_series_of_one_association_for_each_instance_waits_for_the_quiet_period(
    scanner: Scanner, bench: Bench, series: Series
) -> None:
    for path in series():
        scanner.send([path])
    assert bench.after(19.9) is None
    assert bench.after(0.1) == "no instance for 20 s"


def test_series_with_a_gap_waits_for_the_longest_time_and_closes_as_incomplete(
    scanner: Scanner, bench: Bench, series: Series, events: EventStore
) -> None:
    paths = series()
    scanner.send([*paths[:3], *paths[4:]])
    assert bench.after(19.9) is None
    for seconds in (0.1, 1, 38.9):
        assert bench.after(seconds) is None
    told = [
        one.details
        for one in events.of_study(read_header(paths[0]).study_instance_uid)
        if one.name == "series.waiting"
    ]
    assert told == [{"reason": "1 slices are missing between others", "until": "12:01:00 UTC"}]
    with capture_logs() as logs:
        reason = bench.after(0.1)
    assert reason == "incomplete after 60 s: 1 slices are missing between others"
    assert [(one["event"], one["log_level"]) for one in logs] == [("series.incomplete", "warning")]


def test_missing_instance_that_comes_makes_the_series_complete(
    scanner: Scanner, bench: Bench, series: Series
) -> None:
    paths = series()
    scanner.send(paths[:6], Outcome.BROKEN)
    assert bench.after(30) is None
    scanner.send(paths[6:])
    assert bench.after(3) == "complete: the sender released, 8 slices without a gap"


def test_repeated_transfer_that_ends_well_makes_up_for_one_that_broke(
    scanner: Scanner, bench: Bench, series: Series
) -> None:
    paths = series()
    scanner.send(paths, Outcome.BROKEN)
    assert bench.after(30) is None
    scanner.send(paths)
    assert bench.after(3) == "complete: the sender released, 8 slices without a gap"


def test_announced_number_closes_a_series_whose_association_stays_open(
    scanner: Scanner, bench: Bench, series: Series
) -> None:
    paths = series(NumberOfSeriesRelatedInstances=8)
    scanner.send(paths[:7], None)
    assert bench.after(30) is None
    scanner.send(paths[7:], None)
    assert bench.after(3) == "complete: all 8 announced instances are there"


def test_death_of_the_receiver_speaks_against_what_it_was_receiving(
    scanner: Scanner, bench: Bench, series: Series, instances: InstanceStore, clock: FakeClock
) -> None:
    scanner.send(series(), None)
    assert AssociationStore(instances.database, clock).lose("host/0") == 1
    assert bench.after(59) is None
    reason = bench.after(1)
    assert reason is not None
    assert reason.startswith("incomplete after 60 s: the receiver died")


class Later(Executor):
    """Does what it is given when it is told to."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], object]] = []

    def submit(self, call: Callable[..., object], /, *args: object, **named: object) -> Future[Any]:
        self._calls.append(lambda: call(*args, **named))
        return Future()

    def go(self) -> int:
        calls, self._calls = self._calls, []
        for call in calls:
            call()
        return len(calls)


@pytest.fixture
def asking(
    studies: StudyStore, instances: InstanceStore, spool: Spool, clock: FakeClock
) -> tuple[Bench, Later]:
    rules = SeriesSection(quiet_period_seconds=20, maximum_wait_seconds=600)
    later = Later()
    source = Source(Config.model_validate({"peers": [PEER]}), clock, later)
    return Bench(Assemble(studies, instances, spool, rules, clock, source), studies, clock), later


def test_number_at_the_source_counts(
    scanner: Scanner,
    series: Series,
    asking: tuple[Bench, Later],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, later = asking
    asked: list[tuple[str, ...]] = []
    numbers = iter([8, 7])

    def count(_: object, title: str, study: str, uid: str) -> int:
        asked.append((title, study, uid))
        return next(numbers)

    monkeypatch.setattr(module, "count_instances", count)
    paths = series()
    scanner.send(paths[:7])
    assert bench.after(3) is None
    assert bench.after(3) is None  # the answer is worth waiting for
    assert later.go() == 1
    assert bench.after(26) is None
    header = read_header(paths[0])
    assert asked == [("MEDAET", header.study_instance_uid, header.series_instance_uid)]
    assert bench.after(1) is None
    assert later.go() == 1
    assert bench.after(1) == "complete: all 7 announced instances are there"


@pytest.mark.parametrize("answers", [True, False], ids=["fails", "never answers"])
def test_source_that_cannot_be_asked_holds_nothing_up(
    scanner: Scanner,
    series: Series,
    asking: tuple[Bench, Later],
    monkeypatch: pytest.MonkeyPatch,
    *,
    answers: bool,
) -> None:
    def fail(*_: object) -> int:
        raise PeerUnavailableError("peer pacs cannot be reached")

    bench, later = asking
    monkeypatch.setattr(module, "count_instances", fail)
    scanner.send(series())
    assert bench.after(3) is None
    with capture_logs() as logs:
        assert later.go() if answers else True
    assert [one["event"] for one in logs] == ["query.failed"] * answers
    assert bench.after(0.1 if answers else 10) == (
        "complete: the sender released, 8 slices without a gap"
    )
