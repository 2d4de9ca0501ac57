"""A lane to a worker child: several are worked in at once, so that the next job is read while one computes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from medaet.precision import Terms
from medaet.store.tables import Priority
from medaet.worker.request import Request, Run
from medaet.worker.terms import TermsOf

PATIENCE = timedelta(seconds=1)
STAT_PATIENCE = timedelta(milliseconds=400)
"""A little longer than idle workers sleep: they come first."""


class Computing(Protocol):
    """What computes on a device: one worker child, or one for each environment."""

    device: str

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer."""
        ...

    def platform_of(self, analysis: str) -> dict[str, str]:
        """Device and versions of what computes an analysis, by name."""
        ...

    def analyse(self, request: Request, *, on_alive: Callable[[], None] = ...) -> Run:
        """Run one analysis."""
        ...

    def drain(self) -> None:
        """Take nothing new, and give back what was not begun."""
        ...

    def close(self) -> None:
        """End it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One way for jobs into a child.

    Attributes:
        child: Shared by the lanes of a device.
        name: Of the stage that works in it.
        only: Which jobs take it; None for all.
        terms_of: Decides on which terms each analysis is computed.
    """

    child: Computing
    name: str = "analyse"
    only: Priority | None = None
    terms_of: TermsOf = field(default_factory=TermsOf)

    def terms(self, analysis: str) -> Terms:
        """Return the terms of an analysis on the child's device."""
        return self.terms_of.terms(analysis, lambda: self.child.platform_of(analysis))

    @property
    def waited(self) -> timedelta:
        """How long a job must have been due before it is taken: a busy device leaves new ones to idle devices."""
        if not self.child.busy:
            return timedelta(0)
        return STAT_PATIENCE if self.only is Priority.STAT else PATIENCE


def lanes(child: Computing, terms_of: TermsOf | None = None, number: int = 1) -> list[Lane]:
    """Lay two lanes for all jobs, of which one computes and one is ready, and one for urgent jobs alone.

    Args:
        child: Where they lead.
        terms_of: Decides on which terms each analysis is computed.
        number: Of the child, among those of the device.
    """
    name = "analyse" if number == 1 else f"analyse-{number}"
    laid = ((name, None), (f"{name}-next", None), (f"{name}-stat", Priority.STAT))
    return [Lane(child, each, only, terms_of or TermsOf()) for each, only in laid]
