"""How the evidence for a series is weighed."""

import pytest

from medaet.store.associations import Share
from medaet.store.tables import AssociationOutcome as Outcome
from medaet.testing.clock import NOON
from medaet_daemon.completion import Judgement, Verdict, judge
from tests.unit.test_completeness import image, stack

RELEASED = "the sender released, 10 slices without a gap"
WHOLE = stack(10)


def share(outcome: Outcome | None, instances: int = 10, *, is_known: bool = True) -> Share:
    return Share(instances, outcome, is_known, NOON, NOON if outcome else None)


def test_released_association_and_slices_without_a_gap_are_complete() -> None:
    assert judge(WHOLE, [share(Outcome.RELEASED)]) == Verdict(Judgement.COMPLETE, RELEASED)


@pytest.mark.parametrize(
    "shares",
    [
        [],
        [share(None)],
        [share(None, is_known=False)],
        [share(None, 5), share(Outcome.RELEASED, 5)],
        [share(Outcome.RELEASED, 1)] * 10,
    ],
    ids=["none", "open", "unknown", "one of two is open", "one for each instance"],
)
def test_without_a_release_that_says_something_nobody_knows(shares: list[Share]) -> None:
    assert judge(WHOLE, shares).judgement is Judgement.UNKNOWN


@pytest.mark.parametrize("outcome", [Outcome.ABORTED, Outcome.BROKEN, Outcome.LOST])
def test_association_that_ended_badly_speaks_against(outcome: Outcome) -> None:
    verdict = judge(WHOLE, [share(outcome)])
    assert verdict.judgement is Judgement.INCOMPLETE
    assert "association" in verdict.reason


def test_later_association_makes_up_for_one_that_ended_badly() -> None:
    shares = [share(Outcome.BROKEN, 6), share(Outcome.RELEASED, 4)]
    assert judge(WHOLE, shares) == Verdict(Judgement.COMPLETE, RELEASED)


def test_gap_and_numbers_that_are_not_reached_speak_against() -> None:
    images = [
        {**one, "NumberOfSeriesRelatedInstances": "12", "ImagesInAcquisition": "11"}
        for one in stack(10, without=(4,))
    ]
    verdict = judge(images, [share(Outcome.RELEASED)])
    assert verdict.judgement is Judgement.INCOMPLETE
    assert verdict.reason == (
        "3 of 12 announced instances are missing; 2 of 11 images of the acquisition are missing; "
        "1 slices are missing between others"
    )


@pytest.mark.parametrize("shares", [[share(None)], [share(Outcome.BROKEN)]])
def test_announced_number_outweighs_everything_else(shares: list[Share]) -> None:
    images = stack(10, without=(4,))
    verdict = judge(images, shares, at_source=9)
    assert verdict == Verdict(Judgement.COMPLETE, "all 9 announced instances are there")
    assert judge(images, shares, at_source=10).judgement is Judgement.INCOMPLETE


def test_single_classic_image_is_never_proven() -> None:
    assert judge([image()], [share(Outcome.RELEASED, 1)]).judgement is Judgement.UNKNOWN


def test_single_enhanced_instance_is_complete_when_its_sender_released() -> None:
    verdict = judge([{"NumberOfFrames": "60"}], [share(Outcome.RELEASED, 1)])
    assert verdict.judgement is Judgement.COMPLETE
