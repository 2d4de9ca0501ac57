"""The life of a job as data."""

import itertools

import pytest

from medaet.queue import moves
from medaet.queue.state import FINAL, HELD, MOVES, allowed
from medaet.store.tables import JobRow, JobState
from medaet.testing.clock import NOON

DRAWN = {
    ("ready", "leased"),
    ("leased", "ready"),
    ("leased", "analysed"),
    ("analysed", "encoding"),
    ("encoding", "analysed"),
    ("encoding", "done"),
    ("dead", "ready"),
    *((state, "dead") for state in ("ready", "leased", "analysed", "encoding")),
    *((state, "superseded") for state in ("ready", "leased", "analysed", "encoding")),
    ("done", "superseded"),
    ("dead", "superseded"),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_allowed_agrees_with_the_drawing(before: JobState, after: JobState) -> None:
    assert allowed(before, after) == ((before.value, after.value) in DRAWN)


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(JobState)


def test_held_jobs_go_back_to_the_state_they_were_leased_in() -> None:
    for held, waiting in HELD.items():
        assert allowed(waiting, held)
        assert allowed(held, waiting)


def test_only_people_and_later_generations_move_a_finished_job() -> None:
    for state in FINAL:
        assert MOVES[state] <= {JobState.READY, JobState.SUPERSEDED}


def test_every_job_can_come_to_an_end() -> None:
    reached = {JobState.READY}
    while more := {after for one in reached for after in MOVES[one]} - reached:
        reached |= more
    assert reached == set(JobState)
    assert all(MOVES[one] & FINAL for one in set(JobState) - FINAL)


def test_move_refuses_what_is_not_drawn() -> None:
    row = JobRow(
        key="k",
        study_id=1,
        analysis="lungs",
        analysis_version="1",
        weights_sha256="",
        settings={},
        send_to=[],
        created_at=NOON,
        due_at=NOON,
        state=JobState.DONE,
    )
    with pytest.raises(ValueError, match="from done to ready"):
        moves.move(row, JobState.READY)
