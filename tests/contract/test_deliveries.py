"""The delivery queue, the same tests on SQLite and on PostgreSQL."""

from datetime import timedelta

import pytest

from medaet.errors import (
    LeaseLostError,
    PeerBusyError,
    PeerRefusedError,
    PeerUnavailableError,
    PermanentError,
)
from medaet.queue.deliveries import Delivery, DeliveryQueue
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.tables import DeliveryState
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE, Shelf

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def _leased(deliveries: DeliveryQueue) -> Delivery:
    (delivery,) = deliveries.lease_batch("sender", LEASE, 1)
    return delivery


@pytest.fixture
def sendable(shelf: Shelf) -> Shelf:
    """A finished job with one result for one peer."""
    shelf.enqueue(shelf.job())
    shelf.done("1.2.9")
    return shelf


def test_lease_batch_hands_out_what_sending_needs(
    sendable: Shelf, deliveries: DeliveryQueue, clock: FakeClock
) -> None:
    delivery = _leased(deliveries)
    assert (delivery.peer, delivery.kind) == ("pacs", "SEG")
    assert (delivery.path, delivery.sop_instance_uid) == ("results/1.2.9.dcm", "1.2.9")
    assert delivery.sop_class_uid == "1.2.840.10008.5.1.4.1.1.66.4"
    assert (delivery.study_id, delivery.attempt) == (sendable.study_id, 1)
    assert (delivery.state, delivery.leased_by) == (DeliveryState.LEASED, "sender")
    assert delivery.lease_ends_at == clock.now() + LEASE


def test_lease_batch_is_empty_when_nothing_waits(deliveries: DeliveryQueue) -> None:
    assert deliveries.lease_batch("sender", LEASE, 10) == []


def test_lease_batch_is_for_one_peer_the_one_that_waits_longest(
    shelf: Shelf, deliveries: DeliveryQueue, clock: FakeClock
) -> None:
    shelf.enqueue(shelf.job("one", send_to=["late", "early"]))
    shelf.done("1.2.9", "1.2.10")
    first = deliveries.lease_batch("sender", LEASE, 10)
    second = deliveries.lease_batch("sender", LEASE, 10)
    assert [(one.peer, one.sop_instance_uid) for one in first] == [
        ("late", "1.2.9"),
        ("late", "1.2.10"),
    ]
    assert [one.peer for one in second] == ["early", "early"]
    assert deliveries.lease_batch("sender", LEASE, 10) == []


def test_lease_batch_takes_at_most_so_many(shelf: Shelf, deliveries: DeliveryQueue) -> None:
    shelf.enqueue(shelf.job())
    shelf.done("1.2.9", "1.2.10", "1.2.11")
    assert len(deliveries.lease_batch("sender", LEASE, 2)) == 2
    assert len(deliveries.lease_batch("sender", LEASE, 2)) == 1


def test_sent_ends_a_delivery(
    sendable: Shelf, deliveries: DeliveryQueue, clock: FakeClock, database: Database
) -> None:
    deliveries.sent(_leased(deliveries), 0xB000)
    (delivery,) = deliveries.list()
    assert (delivery.state, delivery.status) == (DeliveryState.SENT, 0xB000)
    assert (delivery.sent_at, delivery.leased_by) == (clock.now(), None)
    assert deliveries.lease_batch("sender", LEASE, 10) == []
    event = EventStore(database).of_study("1.2")[-1]
    assert event.name == "result.delivered"
    assert event.details["peer"] == "pacs"
    assert event.details["status"] == "B000"


def test_fail_waits_longer_each_time_up_to_a_quarter_of_an_hour(
    sendable: Shelf, deliveries: DeliveryQueue, clock: FakeClock
) -> None:
    waits = []
    for _ in range(9):
        deliveries.fail(_leased(deliveries), PeerBusyError("out of resources"), 0xA700)
        (delivery,) = deliveries.list()
        waits.append((delivery.due_at - clock.now()) / SECOND)
        clock.at = delivery.due_at
    assert waits == [10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert (delivery.status, delivery.last_error) == (0xA700, "out of resources")


def test_fail_never_gives_up_on_a_peer_that_is_down_for_a_week(
    sendable: Shelf, deliveries: DeliveryQueue, clock: FakeClock, database: Database
) -> None:
    end = clock.now() + 7 * DAY
    while clock.now() < end:
        deliveries.fail(_leased(deliveries), PeerUnavailableError("no connection"))
        clock.advance(timedelta(hours=6))
    assert [one.state for one in deliveries.list()] == [DeliveryState.READY]
    names = [event.name for event in EventStore(database).of_study("1.2")]
    assert names.count("delivery.failed") == 1


def test_fail_buries_what_the_peer_refuses(
    sendable: Shelf, deliveries: DeliveryQueue, database: Database
) -> None:
    deliveries.fail(_leased(deliveries), PeerRefusedError("SOP class not supported"), 0x0122)
    (delivery,) = deliveries.list(DeliveryState.DEAD)
    assert (delivery.status, delivery.last_error) == (0x0122, "SOP class not supported")
    assert EventStore(database).of_study("1.2")[-1].name == "delivery.buried"


def test_fail_without_a_response_keeps_the_newest_status(
    sendable: Shelf, deliveries: DeliveryQueue, clock: FakeClock
) -> None:
    deliveries.fail(_leased(deliveries), PeerBusyError("busy"), 0xA700)
    clock.advance(DAY)
    deliveries.fail(_leased(deliveries), PeerUnavailableError("no connection"))
    assert deliveries.list()[0].status == 0xA700


def test_rescue_gives_back_what_its_sender_dropped(
    sendable: Shelf, deliveries: DeliveryQueue, clock: FakeClock
) -> None:
    dropped = _leased(deliveries)
    clock.advance(LEASE)
    assert deliveries.rescue() == 0
    clock.advance(SECOND)
    assert deliveries.rescue() == 1
    current = _leased(deliveries)
    with pytest.raises(LeaseLostError, match="attempt 1"):
        deliveries.sent(dropped, 0x0000)
    with pytest.raises(LeaseLostError):
        deliveries.fail(dropped, PeerBusyError("busy"))
    with pytest.raises(LeaseLostError):
        deliveries.renew(dropped, LEASE)
    deliveries.sent(current, 0x0000)


def test_renew_pushes_the_end_of_the_lease_out(
    sendable: Shelf, deliveries: DeliveryQueue, clock: FakeClock
) -> None:
    delivery = _leased(deliveries)
    clock.advance(LEASE)
    deliveries.renew(delivery, LEASE)
    clock.advance(LEASE)
    assert deliveries.rescue() == 0


def test_retry_sends_a_dead_delivery_back(sendable: Shelf, deliveries: DeliveryQueue) -> None:
    delivery = _leased(deliveries)
    deliveries.fail(delivery, PeerRefusedError("no"))
    deliveries.retry(delivery.id)
    assert _leased(deliveries).attempt == 2


def test_retry_ends_the_wait_of_a_delivery(sendable: Shelf, deliveries: DeliveryQueue) -> None:
    delivery = _leased(deliveries)
    deliveries.fail(delivery, PeerBusyError("busy"))
    assert deliveries.lease_batch("sender", LEASE, 1) == []
    deliveries.retry(delivery.id)
    assert _leased(deliveries).id == delivery.id


def test_retry_refuses_what_was_sent(sendable: Shelf, deliveries: DeliveryQueue) -> None:
    delivery = _leased(deliveries)
    deliveries.sent(delivery, 0x0000)
    with pytest.raises(PermanentError, match="is sent"):
        deliveries.retry(delivery.id)


def test_retry_says_where_to_look_for_an_unknown_delivery(deliveries: DeliveryQueue) -> None:
    with pytest.raises(PermanentError, match="medaet deliveries list"):
        deliveries.retry(77)
