"""Each benchmark of `medaet bench` in its smallest form: ours and its peers run, and the ratios are there."""

import pytest

from medaet.bench.compared import as_key, compared, joined
from medaet.bench.encode import encode
from medaet.bench.features import features
from medaet.bench.queue import queue
from medaet.bench.receive import receive
from medaet.bench.register import register
from medaet.bench.report import Report


def _say(_text: str) -> None: ...


def _ratios(report: Report) -> dict[str, float]:
    (ratios,) = report.ratios.values()
    return dict(ratios)


def test_segmentations_are_encoded_beside_highdicom_and_dcmqi() -> None:
    assert set(_ratios(encode(quick=True, rounds=1, say=_say))) == {
        "speed_vs_highdicom",
        "speed_vs_dcmqi",
    }


def test_registration_is_measured_with_its_error() -> None:
    report = register(quick=True, rounds=1, say=_say)
    assert set(_ratios(report)) == {"speed_vs_simpleitk"}
    (ours,) = (row for row in report.rows if row["way"] == "medaet")
    assert 0 < float(str(ours["error_mm"])) < 0.5


def test_queue_tells_what_history_costs() -> None:
    report = queue(quick=True, rounds=1, say=_say)
    assert _ratios(report)["cost_of_history"] > 0
    assert {row["way"] for row in report.rows} == {"medaet", "medaet later"}


def test_features_are_measured_by_voxels() -> None:
    (row, *_) = features(quick=True, rounds=1, say=_say).rows
    assert int(str(row["voxels_a_second"])) > 0


@pytest.mark.interop
def test_a_study_is_sent_to_every_receiver() -> None:
    report = receive(quick=True, rounds=1, say=_say)
    assert {row["way"] for row in report.rows} >= {"medaet", "medaet crash", "pynetdicom"}
    assert _ratios(report)["speed_vs_pynetdicom"] > 0


def test_ratios_say_how_many_times_faster_ours_is() -> None:
    done: list[str] = []
    ways = {"medaet": lambda: done.append("ours"), "The Other": lambda: done.append("theirs")}
    report = compared("read", "a case", ways, 3, _say, amount=("things_a_second", 5))
    assert sorted(done) == ["ours"] * 3 + ["theirs"] * 3
    assert set(report.ratios["a case"]) == {"speed_vs_the_other"}
    both = joined([report, compared("read", "another", ways, 1, _say)])
    assert list(both.ratios) == ["a case", "another"]
    assert len(both.rows) == 4
    assert as_key("medaet torch") == "medaet_torch"
