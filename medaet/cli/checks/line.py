"""One line of `medaet doctor`."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How good what was found is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Line:
    """What was looked at, what was found, and what to do about it.

    Attributes:
        fix: Empty when nothing is to be done.
    """

    verdict: Verdict
    subject: str
    found: str
    fix: str = ""


def ok(subject: str, found: str) -> Line:
    """Report something that is well."""
    return Line(Verdict.OK, subject, found)


def warn(subject: str, found: str, fix: str) -> Line:
    """Report something that works, and may not for long."""
    return Line(Verdict.WARN, subject, found, fix)


def fail(subject: str, found: str, fix: str) -> Line:
    """Report something that does not work."""
    return Line(Verdict.FAIL, subject, found, fix)
