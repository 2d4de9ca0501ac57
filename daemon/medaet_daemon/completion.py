"""Weigh the evidence for a series being complete: how its associations ended, announced numbers, and its slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from medaet.dicom.completeness import (
    Attributes,
    Evidence,
    acquisitions,
    announced,
    slices,
)
from medaet.store.associations import Share
from medaet.store.tables import AssociationOutcome


class Judgement(Enum):
    """What the evidence says; UNKNOWN when there is none, or too little."""

    COMPLETE = auto()
    UNKNOWN = auto()
    INCOMPLETE = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement, and the reason for people."""

    judgement: Judgement
    reason: str = ""


ENDINGS = {
    AssociationOutcome.ABORTED: "the sender's association was aborted",
    AssociationOutcome.BROKEN: "the sender's association broke off within an instance",
    AssociationOutcome.LOST: "the receiver died before the sender's association ended",
}


def judge(
    images: Sequence[Attributes], shares: Sequence[Share], at_source: int | None = None
) -> Verdict:
    """Say whether a series is complete.

    The announced number of the whole series outweighs everything else. Without one, a series is complete when its
    sender released and its slices have no gap. What the last association left unfinished, a gap and a number that is
    not reached speak against it: the sender may come again.

    Args:
        images: Attributes of every instance of the series, at least one.
        shares: What each association brought of it, in the order in which they last did.
        at_source: The number of instances that the source has; None when it was not asked.
    """
    number = announced(images, at_source)
    if number.complete:
        return Verdict(Judgement.COMPLETE, number.complete)
    stack = slices(images)
    against = (number, acquisitions(images), _left_unfinished(shares), stack)
    reasons = [one.incomplete for one in against if one.incomplete]
    if reasons:
        return Verdict(Judgement.INCOMPLETE, "; ".join(reasons))
    if stack.complete and _is_released(shares, len(images)):
        return Verdict(Judgement.COMPLETE, f"the sender released, {stack.complete}")
    return Verdict(Judgement.UNKNOWN)


def _left_unfinished(shares: Sequence[Share]) -> Evidence:
    """Look at the last association only: it may have brought what an earlier one left out."""
    outcome = shares[-1].outcome if shares else None
    return Evidence(incomplete=ENDINGS.get(outcome, "") if outcome else "")


def _is_released(shares: Sequence[Share], images: int) -> bool:
    """Whether every association ended, the last one well.

    A sender that opens one for each instance of several says nothing by releasing it.
    """
    ended = bool(shares) and all(share.outcome is not None for share in shares)
    speaks = images == 1 or any(share.instances > 1 for share in shares)
    return ended and speaks and shares[-1].outcome is AssociationOutcome.RELEASED
