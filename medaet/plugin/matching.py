"""Which series belong together: those of one study, or of studies of one patient that are near enough in time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medaet.dicom.identity import SeriesFacts
from medaet.dicom.origin import Origin, differs
from medaet.plugin.analysis import Analysis
from medaet.plugin.assignment import assigned
from medaet.plugin.partner import SAME_STUDY, Partner


@dataclass(frozen=True, slots=True)
class Candidate:
    """A series that may take a role.

    Attributes:
        key: Names the series: its row's id, or its Series Instance UID.
        facts: What selectors ask for.
        origin: Whose it is, of which study, and when it was taken.
    """

    key: int | str
    facts: SeriesFacts
    origin: Origin

    @property
    def study(self) -> str:
        """Study Instance UID."""
        return self.origin.study_instance_uid


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a series that fits a role was not taken for it.

    Attributes:
        role: The role.
        series_instance_uid: The series.
        reason: A clause, without any value of a patient attribute.
    """

    role: str
    series_instance_uid: str
    reason: str


def matched(
    analysis: type[Analysis], series: Sequence[Candidate], *, needed: Candidate | None = None
) -> dict[str, Candidate]:
    """Give the roles of an analysis to series that belong together.

    Args:
        analysis: Its first role is the one that partners are measured against.
        series: All that may be taken, the preferred ones first.
        needed: A series that must be among those taken.

    Returns:
        Series by role, in the order of the manifest; as many as can be filled.
    """
    found = assigned(
        analysis.inputs,
        series,
        lambda one: one.facts,
        needed=needed,
        together=lambda taken: not _apart(analysis, taken),
    )
    return {role: found[role] for role in analysis.inputs if role in found}


def objections(
    analysis: type[Analysis], found: Mapping[str, Candidate], series: Sequence[Candidate]
) -> list[Objection]:
    """Say of each series that would fit a role left empty why it does not belong with those that were found."""
    taken = {one.key for one in found.values()}
    return [
        Objection(role, one.facts.series_instance_uid, reason)
        for role, selector in analysis.inputs.items()
        if role not in found
        for one in series
        if one.key not in taken and selector.matches(one.facts)
        if (reason := _apart(analysis, {**found, role: one}))
    ]


def _apart(analysis: type[Analysis], taken: Mapping[str, Candidate]) -> str | None:
    """Say why some series in their roles do not belong together; None when they do."""
    first = next(iter(analysis.inputs))
    for role, one in taken.items():
        partner = analysis.partners.get(role, SAME_STUDY)
        anchor = taken.get(first)
        if anchor is not None and role != first:
            reason = _against(partner, anchor, one)
            if reason:
                return reason
        for other_role, other in taken.items():
            others = analysis.partners.get(other_role, SAME_STUDY)
            if partner.where == others.where == "study" and one.study != other.study:
                return "it is of another study"
    return None


def _against(partner: Partner, anchor: Candidate, one: Candidate) -> str | None:
    """Say why a series does not belong with the one in the first role; None when it does."""
    if partner.where == "study" and anchor.study != one.study:
        return "it is of another study"
    if partner.where == "prior" and anchor.study == one.study:
        return "it is of the same study, not of an earlier one"
    if partner.same_description and _described(anchor) != _described(one):
        return "its series description is another one"
    return differs(anchor.origin, one.origin) or _untimely(partner, anchor.origin, one.origin)


def _described(one: Candidate) -> str:
    return " ".join(one.facts.series_description.upper().split())


def _untimely(partner: Partner, anchor: Origin, one: Origin) -> str | None:
    """Say why a series was taken at another time than it should have been; None when it was not."""
    if partner.where != "prior" and partner.within is None:
        return None
    if anchor.acquired_at is None or one.acquired_at is None:
        return "it is not known when both were acquired"
    before = anchor.acquired_at - one.acquired_at
    if partner.where == "prior" and before.total_seconds() <= 0:
        return "it was not acquired earlier"
    if partner.within is not None and abs(before) > partner.within:
        hours = abs(before).total_seconds() / 3600
        return f"it was acquired {hours:.1f} h apart, more than {partner.within_hours:g} h"
    return None
