"""Where the series of a role may come from, when not from the study of the first role."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from medaet.errors import PluginError

Where = Literal["study", "patient", "prior"]
WHERES = ("study", "patient", "prior")


@dataclass(frozen=True, slots=True)
class Partner:
    """What a role asks of its series beside the selector, measured against the series of the first role.

    Attributes:
        where: "study": the same study. "patient": any study of the same patient. "prior": an earlier study of the
            same patient.
        within_hours: How far apart the two may have been acquired; None for any time, which "patient" does not take.
        wait_minutes: How long the other series wait for this one; 0 for not at all, None for as long as they are kept.
        same_description: Whether Series Description must be the same, so that an earlier scan is of the same sort.
        optional: Whether the analysis runs without this role once it was waited for in vain; else it is given up.
    """

    where: Where = "study"
    within_hours: float | None = None
    wait_minutes: float | None = None
    same_description: bool = False
    optional: bool = False

    def __post_init__(self) -> None:
        if self.where not in WHERES:
            raise PluginError(f"a partner comes from one of {', '.join(WHERES)}, not {self.where}")
        if self.where == "patient" and self.within_hours is None:
            raise PluginError('a partner from any study of the "patient" needs within_hours')
        if (self.within_hours or 1) <= 0 or (self.wait_minutes or 0) < 0:
            raise PluginError("a partner's within_hours is more than 0, its wait_minutes not less")

    @property
    def within(self) -> timedelta | None:
        """How far apart the two may have been acquired; None for any time."""
        return None if self.within_hours is None else timedelta(hours=self.within_hours)

    @property
    def wait(self) -> timedelta | None:
        """How long the other series wait; None for as long as they are kept."""
        return None if self.wait_minutes is None else timedelta(minutes=self.wait_minutes)


SAME_STUDY = Partner()
"""What holds for a role that the manifest names no partner for."""
