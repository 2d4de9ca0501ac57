"""Associations one after another, and many at once, leave memory and descriptors as they were."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.receiver import Receiver, config, receiving
from tests.faults.senders import Association, Instances

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ASSOCIATIONS = int(os.environ.get("MEDAET_ASSOCIATIONS", "200"))
"""One after another; a release is made after ten thousand."""

AT_ONCE = 100
WARM_UP = 100
OWN_THREADS = 8
"""Of three processes, when no association is open."""

SPREAD_BYTES = 6_000_000
"""What two processes may differ by at any two moments: arenas of the allocator, and pages of SQLite's cache."""


@pytest.fixture
def receiver(tmp_path: Path, free_port: int) -> Iterator[Receiver]:
    settings = config(
        tmp_path,
        free_port,
        durability="crash",
        maximum_associations=AT_ONCE,
        maximum_associations_per_address=AT_ONCE,
    )
    with receiving(settings) as running:
        yield running


def _entries(receiver: Receiver, folder: str) -> int:
    return sum(len(list(Path(f"/proc/{pid}/{folder}").iterdir())) for pid in receiver.pids())


def _descriptors(receiver: Receiver) -> int:
    return _entries(receiver, "fd")


def _threads(receiver: Receiver) -> int:
    return _entries(receiver, "task")


def _settled(measure: Callable[[], int], at_most: int, seconds: float = 30) -> int:
    """Return a figure once it is small enough, or what it is after a while."""
    waiting, deadline = threading.Event(), time.monotonic() + seconds
    while (found := measure()) > at_most and time.monotonic() < deadline:
        waiting.wait(0.05)
    return found


def _one_after_another(receiver: Receiver, instances: Instances, count: int) -> None:
    for _ in range(count):
        association = Association(receiver.peer)
        assert association.store(*instances.next(1)) == 0
        association.release()


def test_associations_one_after_another_leave_nothing_behind(receiver: Receiver) -> None:
    instances = Instances(side=32)
    _one_after_another(receiver, instances, WARM_UP)
    resident, descriptors = receiver.resident_bytes(), _descriptors(receiver)
    threads = _threads(receiver)
    _one_after_another(receiver, instances, ASSOCIATIONS)
    assert _settled(lambda: _threads(receiver), threads) <= threads
    assert _settled(lambda: _descriptors(receiver), descriptors) <= descriptors
    grown = receiver.resident_bytes() - resident
    print(f"{ASSOCIATIONS} associations one after another: {grown / 1e6:+.1f} MB")  # noqa: T201
    assert grown < SPREAD_BYTES


def test_associations_at_once_leave_nothing_behind(receiver: Receiver) -> None:
    instances = Instances(side=32)
    resident: list[int] = []
    descriptors: list[int] = []
    for _ in range(5):
        associations = [Association(receiver.peer) for _ in range(AT_ONCE)]
        assert all(one.is_established for one in associations)
        for number, one in enumerate(associations):
            assert one.store(*instances.next(number)) == 0
        for one in associations:
            one.release()
        assert _settled(lambda: _threads(receiver), OWN_THREADS) <= OWN_THREADS
        descriptors.append(_descriptors(receiver))
        resident.append(receiver.resident_bytes())
    grown = resident[-1] - resident[1]  # the first time, connections and buffers are made
    print(f"{AT_ONCE} associations at once, again and again: {grown / 1e6:+.1f} MB")  # noqa: T201
    # A database connection more is two; one left by each association would be a hundred.
    assert max(descriptors[2:]) <= descriptors[1] + 4
    assert grown < SPREAD_BYTES
