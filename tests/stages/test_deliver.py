"""Results on their way to peers that take them, refuse them, are busy, vanish or are no longer configured."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import evt
from structlog.testing import capture_logs

from medaet.config.model import Config, Peer
from medaet.queue.deliveries import Delivery, DeliveryQueue
from medaet.queue.jobs import JobQueue, NewResult
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.files import Spool
from medaet.store.tables import DeliveryState
from medaet.testing.clock import FakeClock
from medaet.testing.pacs import StandInPacs
from medaet.testing.phantom import write_series
from medaet.testing.rows import Shelf
from medaet_daemon.deliver import LEASE, Deliver

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
STUDY = "1.2"


@dataclass
class Outbox:
    """A job with three results on disk, one of another SOP class, due to the peer "pacs"."""

    spool: Spool
    queue: DeliveryQueue
    events: EventStore
    paths: list[Path]

    def send(self, *peers: Peer) -> timedelta:
        return Deliver(self.spool, self.queue, Config(peers=peers)).step()

    def rows(self) -> list[Delivery]:
        return sorted(self.queue.list(), key=lambda one: one.id)

    def states(self) -> list[DeliveryState]:
        return [row.state for row in self.rows()]

    def happened(self) -> list[str]:
        return [event.name for event in self.events.of_study(STUDY)]


@pytest.fixture
def outbox(database: Database, clock: FakeClock, tmp_path: Path) -> Outbox:
    jobs = JobQueue(database, clock, jitter=lambda: 0.5)
    shelf = Shelf.filled(database, jobs, clock.now())
    shelf.enqueue(shelf.job())
    shelf.analysed()
    job = shelf.encoding()
    spool = Spool(tmp_path / "spool", durable=False)
    slices = write_series(tmp_path / "ct", shape=(2, 8, 8))
    slices += write_series(tmp_path / "mr", modality="MR", shape=(1, 8, 8), seed=1)
    results = [_result(spool, job.id, path) for path in slices]
    jobs.keep(job, results)
    return Outbox(
        spool,
        DeliveryQueue(database, clock, jitter=lambda: 0.5),
        EventStore(database),
        [spool.path(result.path) for result in results],
    )


def _result(spool: Spool, job_id: int, path: Path) -> NewResult:
    header = dcmread(path, stop_before_pixels=True)
    stored = spool.adopt_result(job_id, header.SOPInstanceUID, path)
    return NewResult(
        kind="SEG",
        sop_class_uid=header.SOPClassUID,
        sop_instance_uid=header.SOPInstanceUID,
        series_instance_uid=header.SeriesInstanceUID,
        path=stored.path,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        proof={},
    )


@contextlib.contextmanager
def _pacs(
    folder: Path, statuses: tuple[int, ...] = (), refused: tuple[str, ...] = ()
) -> Iterator[tuple[StandInPacs, Peer]]:
    with StandInPacs(folder / "pacs", statuses=statuses, refused_sop_classes=refused) as pacs:
        yield pacs, Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=pacs.port)


def test_step_sends_what_is_due_and_asks_for_more(outbox: Outbox, tmp_path: Path) -> None:
    with _pacs(tmp_path) as (pacs, peer):
        assert outbox.send(peer) == timedelta(0)
        received = {dcmread(path).SOPInstanceUID for path in pacs.received}
    assert received == {dcmread(path).SOPInstanceUID for path in outbox.paths}
    assert outbox.states() == [DeliveryState.SENT] * 3
    assert [row.status for row in outbox.rows()] == [0, 0, 0]
    assert outbox.happened().count("result.delivered") == 3


def test_step_waits_when_nothing_is_due(outbox: Outbox, tmp_path: Path) -> None:
    with _pacs(tmp_path) as (_, peer):
        outbox.send(peer)
        assert outbox.send(peer) > timedelta(0)


def test_step_uses_one_association_for_all_results(outbox: Outbox, tmp_path: Path) -> None:
    associations: list[str] = []
    with _pacs(tmp_path) as (pacs, peer):
        pacs.on(evt.EVT_ACCEPTED, lambda event: associations.append(event.assoc.name))
        outbox.send(peer)
    assert len(associations) == 1


def test_step_calls_with_the_listeners_own_title(outbox: Outbox, tmp_path: Path) -> None:
    titles: list[str] = []
    with _pacs(tmp_path) as (pacs, peer):
        pacs.on(evt.EVT_ACCEPTED, lambda event: titles.append(event.assoc.requestor.ae_title))
        outbox.send(peer)
    assert titles == ["MEDAET"]


def test_warning_counts_as_sent_and_is_kept(outbox: Outbox, tmp_path: Path) -> None:
    with capture_logs() as logged, _pacs(tmp_path, (0xB000,)) as (_, peer):
        outbox.send(peer)
    assert outbox.states() == [DeliveryState.SENT] * 3
    assert [row.status for row in outbox.rows()] == [0xB000, 0, 0]
    assert [one["log_level"] for one in logged if one["event"] == "result.delivered"] == [
        "warning",
        "info",
        "info",
    ]


def test_busy_peer_gets_the_result_later(outbox: Outbox, clock: FakeClock, tmp_path: Path) -> None:
    with _pacs(tmp_path, (0xA700,)) as (pacs, peer):
        outbox.send(peer)
        assert outbox.states() == [DeliveryState.READY, DeliveryState.SENT, DeliveryState.SENT]
        assert outbox.rows()[0].status == 0xA700
        clock.advance(timedelta(hours=1))
        outbox.send(peer)
        assert len(pacs.received) == 3
    assert outbox.states() == [DeliveryState.SENT] * 3


def test_refused_result_is_dead_and_the_others_are_sent(outbox: Outbox, tmp_path: Path) -> None:
    with _pacs(tmp_path, (0xC000,)) as (_, peer):
        outbox.send(peer)
    assert outbox.states() == [DeliveryState.DEAD, DeliveryState.SENT, DeliveryState.SENT]
    assert "C000" in str(outbox.rows()[0].last_error)
    assert "delivery.buried" in outbox.happened()


def test_sop_class_that_the_peer_does_not_accept_is_named(outbox: Outbox, tmp_path: Path) -> None:
    with _pacs(tmp_path, refused=(MR,)) as (_, peer):
        outbox.send(peer)
    assert outbox.states() == [DeliveryState.SENT, DeliveryState.SENT, DeliveryState.DEAD]
    assert MR in str(outbox.rows()[2].last_error)


def test_unreachable_peer_costs_one_warning_and_no_result(
    outbox: Outbox, free_port: int, clock: FakeClock, tmp_path: Path
) -> None:
    away = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=free_port)
    with capture_logs() as logged:
        outbox.send(away)
    assert outbox.states() == [DeliveryState.READY] * 3
    assert all(row.due_at > clock.now() for row in outbox.rows())
    warnings = [one for one in logged if one["log_level"] == "warning"]
    assert [(one["event"], one["deliveries"]) for one in warnings] == [("delivery.failed", 3)]
    clock.advance(timedelta(hours=1))
    with _pacs(tmp_path) as (_, back):
        outbox.send(back)
    assert outbox.states() == [DeliveryState.SENT] * 3


def test_peer_that_is_away_for_a_week_loses_nothing(
    outbox: Outbox, free_port: int, clock: FakeClock
) -> None:
    away = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=free_port)
    for _ in range(30):
        outbox.send(away)
        clock.advance(timedelta(hours=6))
    assert outbox.states() == [DeliveryState.READY] * 3
    assert outbox.happened().count("delivery.failed") == 3


def test_association_that_breaks_leaves_the_rest_for_later(outbox: Outbox, tmp_path: Path) -> None:
    with capture_logs() as logged, _pacs(tmp_path) as (pacs, peer):
        pacs.on(evt.EVT_C_STORE, _abort_after(1))
        outbox.send(peer)
    assert outbox.states() == [DeliveryState.SENT, DeliveryState.READY, DeliveryState.READY]
    assert [one["deliveries"] for one in logged if one["event"] == "delivery.failed"] == [2]


def _abort_after(stored: int) -> Callable[[evt.Event], int]:
    taken: list[str] = []

    def answer(event: evt.Event) -> int:
        if len(taken) == stored:
            event.assoc.abort()
        taken.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    return answer


def test_peer_that_is_no_longer_configured_is_named_with_its_remedy(outbox: Outbox) -> None:
    outbox.send(Peer(name="other", ae_title="OTHER", host="127.0.0.1", port=104))
    assert outbox.states() == [DeliveryState.DEAD] * 3
    assert "no peer named 'pacs'" in str(outbox.rows()[0].last_error)
    assert "medaet deliveries retry" in str(outbox.rows()[0].last_error)


def test_result_whose_file_is_gone_is_dead_and_the_others_are_sent(
    outbox: Outbox, tmp_path: Path
) -> None:
    outbox.paths[1].unlink()
    with _pacs(tmp_path) as (_, peer):
        outbox.send(peer)
    assert outbox.states() == [DeliveryState.SENT, DeliveryState.DEAD, DeliveryState.SENT]


def test_lease_that_was_lost_meanwhile_changes_nothing(
    outbox: Outbox, clock: FakeClock, tmp_path: Path
) -> None:
    taken: list[Delivery] = []

    def lose_it(event: evt.Event) -> None:
        if not taken:
            clock.advance(2 * LEASE)
            outbox.queue.rescue()
            taken.extend(outbox.queue.lease_batch("another", LEASE))

    with capture_logs() as logged, _pacs(tmp_path) as (pacs, peer):
        pacs.on(evt.EVT_ACCEPTED, lose_it)
        outbox.send(peer)
    assert outbox.states() == [DeliveryState.LEASED] * 3
    assert {row.leased_by for row in outbox.rows()} == {"another"}
    assert [one["event"] for one in logged if one["log_level"] == "warning"] == ["lease.lost"] * 3
