"""Group commit: one works for all who wait at that moment."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from medaet.store.group import LARGEST_GROUP, Group


@dataclass
class Work:
    """Work that notes its groups, and waits or fails as it is told to."""

    groups: list[list[int]] = field(default_factory=list)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go_on: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.groups.append(list(items))
        self.begun.release()
        assert self.go_on.wait(10)
        if self.error is not None:
            raise self.error
        return [item * 10 for item in items]


def _together(group: Group[int, int], work: Work, items: Sequence[int]) -> dict[int, object]:
    """Do the first item, and the others while it is under way; return what each got."""
    found: dict[int, object] = {}

    def do(item: int) -> None:
        try:
            found[item] = group.do(item)
        except ValueError as error:
            found[item] = error

    threads = [threading.Thread(target=do, args=(item,)) for item in items]
    threads[0].start()
    assert work.begun.acquire(timeout=10)
    for thread in threads[1:]:
        thread.start()
    while len(group._waiting) < len(items) - 1:
        threading.Event().wait(0.001)
    work.go_on.set()
    for thread in threads:
        thread.join(10)
    return found


def test_one_alone_works_at_once_in_its_own_thread() -> None:
    threads: list[threading.Thread] = []

    def work(items: Sequence[int]) -> Sequence[int]:
        threads.append(threading.current_thread())
        return items

    group: Group[int, int] = Group(work)
    assert group.do(1) == 1
    assert threads == [threading.current_thread()]


def test_those_who_come_meanwhile_form_the_next_group() -> None:
    work = Work()
    found = _together(Group(work), work, range(20))
    assert found == {item: item * 10 for item in range(20)}
    assert work.groups[0] == [0]
    assert sorted(work.groups[1]) == list(range(1, 20))
    assert len(work.groups) == 2


def test_group_has_a_largest_size() -> None:
    work = Work()
    found = _together(Group(work), work, range(LARGEST_GROUP + 20))
    assert len(found) == LARGEST_GROUP + 20
    assert [len(one) for one in work.groups] == [1, LARGEST_GROUP, 19]


def test_error_reaches_everyone_of_its_group_and_nobody_else() -> None:
    work = Work(error=ValueError("no"))
    group = Group(work)
    found = _together(group, work, range(5))
    assert all(isinstance(one, ValueError) for one in found.values())
    work.error = None
    assert group.do(7) == 70


def test_no_item_is_lost_or_done_twice_under_load() -> None:
    done: list[int] = []
    lock = threading.Lock()

    def work(items: Sequence[int]) -> Sequence[int]:
        with lock:
            done.extend(items)
        return items

    group: Group[int, int] = Group(work)
    threads = [
        threading.Thread(target=lambda n=n: [group.do(n * 1000 + i) for i in range(300)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(done) == sorted(n * 1000 + i for n in range(8) for i in range(300))


def test_work_that_forgets_a_result_is_an_error() -> None:
    group: Group[int, int] = Group(lambda _: [])
    with pytest.raises(ValueError, match="zip"):
        group.do(1)
