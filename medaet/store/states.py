"""The states of rows, each a word."""

from enum import StrEnum


class AssociationOutcome(StrEnum):
    """How an association ended.

    Attributes:
        RELEASED: As it should.
        ABORTED: Without a release, but between two messages.
        BROKEN: Within an instance.
        LOST: Nobody knows: the process that served it died.
    """

    RELEASED = "released"
    ABORTED = "aborted"
    BROKEN = "broken"
    LOST = "lost"


INCOMPLETE = "incomplete"
"""How the reason begins for which a series is closed although something is known to be missing."""


class SeriesState(StrEnum):
    """open -> closed -> dispatched; a late instance takes it back to open, as the next generation."""

    OPEN = "open"
    CLOSED = "closed"
    DISPATCHED = "dispatched"


class JobState(StrEnum):
    """Drawn in medaet/queue/state.py."""

    READY = "ready"
    LEASED = "leased"
    ANALYSED = "analysed"
    ENCODING = "encoding"
    DONE = "done"
    DEAD = "dead"
    SUPERSEDED = "superseded"


class DeliveryState(StrEnum):
    """ready -> leased -> sent -> committed, or dead; superseded when a newer result took its place."""

    READY = "ready"
    LEASED = "leased"
    SENT = "sent"
    COMMITTED = "committed"
    DEAD = "dead"
    SUPERSEDED = "superseded"


class Priority(StrEnum):
    """How urgent a job is; stat jobs are leased first."""

    ROUTINE = "routine"
    STAT = "stat"


class TrainingState(StrEnum):
    """ready -> leased -> done, or dead; a failed or interrupted attempt goes back to ready."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"
