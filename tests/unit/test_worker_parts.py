"""The parts of a worker: lent memory, the inbox, what stays warm, and time that counts."""

import gc
import os
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from medaet import Analysis, Volume
from medaet.compute.runtime import Runtime
from medaet.dicom.voxels import Voxels
from medaet.worker import limits
from medaet.worker.inbox import Inbox
from medaet.worker.protocol import DESCRIPTORS, receive, send
from medaet.worker.shared import Lender, borrowed, described
from medaet.worker.sharing import Sharing
from medaet.worker.ticket import Ticket
from medaet.worker.warm import Loaded, Warm, key_of


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    """Let collections see everything again, for the tests that follow."""
    yield
    gc.unfreeze()


WHOLE, REAL = np.arange(24, dtype=np.int16), np.arange(24, dtype=np.float32)


@pytest.mark.parametrize("values", [WHOLE, REAL], ids=["int16", "float32"])
def test_a_lent_volume_arrives_whole(values: Voxels) -> None:
    voxels = values.reshape(2, 3, 4)
    volume = Volume(voxels, np.diag([1.0, 2, 3, 1]), "MR", padding=(-5.0, -2.0))
    ours, theirs = socket.socketpair()
    with closing(Lender()) as lender, ours, theirs:
        send(ours, {"kind": "x", "volume": described(volume)}, [lender.descriptor(voxels)])
        message = receive(theirs)
    (descriptor,) = message[DESCRIPTORS]
    found = borrowed(message["volume"], iter([descriptor]))
    assert np.array_equal(found.voxels, voxels)
    assert found.voxels.dtype == voxels.dtype
    assert np.array_equal(found.affine, volume.affine)
    assert (found.modality, found.padding) == ("MR", (-5.0, -2.0))


def test_what_the_borrower_changes_the_owner_does_not_see() -> None:
    with closing(Lender()) as lender:
        ours = lender.allocate((2, 2, 2), np.dtype(np.int16))
        ours[...] = 7
        volume = Volume(ours, np.eye(4), "CT")
        theirs = borrowed(described(volume), iter([os.dup(lender.descriptor(ours))]))
        theirs.voxels[0, 0, 0] = 9
        assert ours[0, 0, 0] == 7


def test_an_array_that_was_allocated_is_lent_without_a_copy() -> None:
    with closing(Lender()) as lender:
        ours = lender.allocate((1, 2, 2), np.dtype(np.int16))
        descriptor = lender.descriptor(ours)
        ours[0, 1, 1] = 5
        assert np.frombuffer(os.pread(descriptor, 8, 0), np.int16).tolist() == [0, 0, 0, 5]


def test_closing_a_lender_closes_its_files_and_leaves_its_arrays() -> None:
    with closing(Lender()) as lender:
        ours = lender.allocate((1, 2, 2), np.dtype(np.int16))
        descriptor = lender.descriptor(ours)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    ours[...] = 3
    assert int(ours.sum()) == 12


def test_inbox_gives_urgent_requests_first_and_others_in_order() -> None:
    inbox = Inbox()
    for number, urgent in ((1, False), (2, False), (3, True), (4, True)):
        inbox.put({"id": number, "urgent": urgent})
    assert [inbox.next()["id"] for _ in range(4)] == [3, 4, 1, 2]
    assert inbox.urgent() is None


def test_inbox_gives_up_only_what_has_not_begun() -> None:
    inbox = Inbox()
    inbox.put({"id": 1})
    inbox.put({"id": 2})
    assert inbox.withdraw(1) == {"id": 1}
    assert inbox.next() == {"id": 2}
    assert inbox.withdraw(2) is None


class Store:
    """Memory that loading takes, 100 bytes for each analysis."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.used = 0

    def load(self, name: str) -> Callable[[], Loaded]:
        def one() -> Loaded:
            self.loads.append(name)
            self.used += 100
            return Loaded(Analysis(), Runtime("cpu"))

        return one


def test_warm_analyses_are_not_loaded_again() -> None:
    store = Store()
    warm = Warm(1000, lambda: store.used)
    for name in "abab":
        with warm.lent(name, store.load(name)):
            pass
    assert store.loads == ["a", "b"]
    assert warm.size_bytes == 200


def test_those_used_longest_ago_make_room() -> None:
    store = Store()
    warm = Warm(250, lambda: store.used)
    for name in "abacab":  # c pushes b out, b then pushes c out
        with warm.lent(name, store.load(name)):
            pass
    assert store.loads == ["a", "b", "c", "b"]


def test_those_that_do_not_fit_any_more_go() -> None:
    store = Store()
    warm = Warm(1000, lambda: store.used)
    for name in "abc":
        with warm.lent(name, store.load(name)):
            pass
    warm.resize(150, 0)
    assert warm.size_bytes == 100
    with warm.lent("c", store.load("c")):
        pass
    assert store.loads == ["a", "b", "c"]


class Sharer:
    share = 0.0

    def hold(self, share: float) -> None:
        self.share = share


def test_children_that_run_share_their_device_equally() -> None:
    sharing, one, two, three = Sharing(), Sharer(), Sharer(), Sharer()
    assert sharing.joined(one) == 1.0
    assert sharing.joined(two) == one.share == 0.5
    assert sharing.joined(three) == pytest.approx(1 / 3)
    assert sharing.joined(two) == pytest.approx(1 / 3)  # started again
    sharing.left(two)
    sharing.left(two)
    assert (one.share, three.share) == (0.5, 0.5)


def test_an_analysis_in_use_is_not_lent_twice_and_one_that_failed_is_not_kept() -> None:
    store = Store()
    warm = Warm(1000, lambda: store.used)
    with warm.lent("a", store.load("a")) as one, warm.lent("a", store.load("a")) as two:
        assert one is not two
    with suppress(ValueError), warm.lent("a", store.load("a")):
        raise ValueError
    with warm.lent("a", store.load("a")):
        pass
    assert store.loads == ["a", "a", "a"]


class Knot:
    """Refers to itself, as networks and their engines do: only a collection frees it."""

    def __init__(self) -> None:
        self.own = self


def knotted(seen: "list[weakref.ref[Knot]]") -> Callable[[], Loaded]:
    """Return how to load an analysis with a knot in it, which `seen` gets to know."""

    def load() -> Loaded:
        analysis, knot = Analysis.__new__(Analysis), Knot()
        analysis.__dict__["knot"], knot.__dict__["analysis"] = knot, analysis
        seen.append(weakref.ref(knot))
        return Loaded(analysis, Runtime("cpu"))

    return load


@pytest.mark.parametrize("ends_by", ["too little room", "an error"])
def test_a_model_that_goes_is_freed_although_collections_passed_over_it(ends_by: str) -> None:
    seen: list[weakref.ref[Knot]] = []
    warm = Warm(1000, lambda: 100 * len(seen))
    with warm.lent("a", knotted(seen)):
        pass
    assert gc.get_freeze_count() > 0
    if ends_by == "an error":
        with suppress(ValueError), warm.lent("a", knotted(seen)):
            raise ValueError
    else:
        warm.resize(0, 0)
    gc.collect()
    assert seen[0]() is None


def test_analyses_differ_by_name_settings_and_terms() -> None:
    request = {"analysis": "a", "settings": {"x": 1}, "terms": {"precision": "fp32"}}
    others = [
        {**request, "analysis": "b"},
        {**request, "settings": {}},
        {**request, "terms": {"precision": "bf16"}},
    ]
    assert len({key_of(one, "w") for one in (request, *others)}) == 4
    assert key_of({**request, "id": 7}, "w") == key_of(request, "w") != key_of(request, "v")


def test_time_counts_only_while_the_child_works_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    ticket = Ticket(1)
    steps = [
        (5, ticket.go_on),
        (2, ticket.stand_still),
        (100, ticket.go_on),
        (3, ticket.stand_still),
    ]
    for seconds, step in steps:
        now[0] += seconds
        step()
    now[0] += 50
    assert ticket.seconds == 5
    assert ticket.began_at == 15


def test_host_memory_is_what_the_kernel_says() -> None:
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < limits.available_bytes() <= limits.host_bytes() <= total * 1.01


def test_peak_memory_can_start_anew() -> None:
    held = np.ones(1 << 24)
    assert limits.peak_bytes() >= held.nbytes
    before = limits.peak_bytes()
    del held
    limits.forget_peak()
    assert limits.peak_bytes() < before
