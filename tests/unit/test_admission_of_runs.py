"""Admission of runs by the memory that others took before them."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from medaet import Volume
from medaet.precision import Terms
from medaet.worker.admission import Admission
from medaet.worker.peaks import Peak, Peaks, peaks_file, size_class
from medaet.worker.request import Request

PLENTY = 1 << 40


def _request(slices: int = 8, *, memory_mb: int = 0, terms: Terms = Terms()) -> Request:  # noqa: B008 -- frozen
    volume = Volume(np.zeros((slices, 8, 8), np.int16), np.eye(4), "CT")
    return Request(
        analysis="a",
        settings={},
        inputs={"ct": volume},
        where=Path(),
        seconds=1,
        terms=terms,
        memory_mb=memory_mb,
    )


def test_size_classes_double() -> None:
    assert [size_class(n) for n in (1, 2, 512, 513, 1024, 1025)] == [1, 1, 9, 10, 10, 11]


def test_what_was_measured_is_expected_again_with_a_margin() -> None:
    peaks = Peaks()
    peaks.seen(_request(), Peak(100, 1000))
    peaks.seen(_request(), Peak(200, 500))
    assert peaks.expected(_request()) == Peak(220, 1100)


def test_other_sizes_are_expected_from_the_nearest_one() -> None:
    peaks = Peaks()
    peaks.seen(_request(8), Peak(100, 1000))
    assert peaks.expected(_request(32)) == Peak(440, 4400)
    assert peaks.expected(_request(2)) == Peak(110, 1100)


def test_before_anything_was_measured_the_manifest_counts() -> None:
    assert Peaks().expected(_request(memory_mb=3)) == Peak(3_000_000, 3_000_000)


def test_precisions_and_engines_are_measured_apart() -> None:
    peaks = Peaks()
    peaks.seen(_request(terms=Terms(precision="bf16")), Peak(100, 100))
    assert peaks.expected(_request()) == Peak(0, 0)
    assert peaks.expected(_request(terms=Terms(precision="bf16", engine="eager"))) == Peak(0, 0)


def test_only_the_last_runs_count() -> None:
    peaks = Peaks()
    for taken in (1000, *[100] * 8):
        peaks.seen(_request(), Peak(taken, taken))
    assert peaks.expected(_request()) == Peak(110, 110)


def test_peaks_outlive_the_process(tmp_path: Path) -> None:
    path = peaks_file(tmp_path, "cuda:0")
    Peaks(path).seen(_request(), Peak(100, 1000))
    assert Peaks(path).expected(_request()) == Peak(110, 1100)
    assert list(Peaks(path).rows()) == [("a auto fp32", 9, Peak(100, 1000))]
    path.write_text("[1]")
    assert Peaks(path).expected(_request()) == Peak(0, 0)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def _admission(device_bytes: int = 100, available: int = PLENTY) -> Admission:
    return Admission(PLENTY, device_bytes, lambda: available)


def _runs(pool: ThreadPoolExecutor, admission: Admission, child: str, need: int) -> Future[None]:
    """Let a run in and out again in another thread."""

    def run() -> None:
        with admission.admitted(child, Peak(need, need)):
            pass

    return pool.submit(run)


@pytest.mark.parametrize(
    ("first", "second", "together"), [(40, 60, True), (41, 60, False), (1000, 1, False)]
)
def test_children_compute_at_once_where_their_memory_fits(
    pool: ThreadPoolExecutor, first: int, second: int, together: bool
) -> None:
    admission = _admission()
    with admission.admitted("one", Peak(first, first)):
        other = _runs(pool, admission, "two", second)
        if together:
            other.result(10)
        else:
            with pytest.raises(TimeoutError):
                other.result(0.2)
    other.result(10)


def test_runs_of_one_child_come_one_after_the_other_and_take_no_more_than_the_largest(
    pool: ThreadPoolExecutor,
) -> None:
    admission = _admission()
    with admission.admitted("one", Peak(60, 60)), admission.admitted("one", Peak(50, 50)):
        _runs(pool, admission, "two", 40).result(10)


def test_a_run_waits_while_the_host_is_short_of_memory_and_others_run(
    pool: ThreadPoolExecutor,
) -> None:
    admission = _admission(0, available=10)
    with admission.admitted("one", Peak(50, 0)):
        other = _runs(pool, admission, "two", 40)
        with pytest.raises(TimeoutError):
            other.result(0.2)
    other.result(10)  # alone it may try


def test_nobody_is_overtaken_but_by_urgent_runs(pool: ThreadPoolExecutor) -> None:
    admission, order = _admission(), []

    def run(name: str, need: int, *, urgent: bool) -> None:
        with admission.admitted(name, Peak(need, need), urgent=urgent, on_alive=lambda: None):
            order.append(name)

    with ExitStack() as inside:
        inside.enter_context(admission.admitted("one", Peak(50, 50)))
        large = pool.submit(run, "large", 90, urgent=False)
        while not admission._queue:
            large.running()
        small = pool.submit(run, "small", 10, urgent=False)
        while len(admission._queue) < 2:
            small.running()
        urgent = pool.submit(run, "urgent", 10, urgent=True)
        urgent.result(10)
        assert order == ["urgent"]
    for one in (large, small):
        one.result(10)
    assert order == ["urgent", "large", "small"]


def test_whoever_waits_can_give_up() -> None:
    admission = _admission()

    class EnoughError(Exception):
        pass

    def give_up() -> None:
        raise EnoughError

    with (
        admission.admitted("one", Peak(100, 100)),
        pytest.raises(EnoughError),
        admission.admitted("two", Peak(1, 1), on_alive=give_up),
    ):
        pass
    assert not admission._queue
