"""What one association has brought so far, and the line that tells of it in the end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from medaet.network.status import Answer
from medaet.store.associations import Ending, Sender
from medaet.store.tables import AssociationOutcome

log = structlog.get_logger()


@dataclass(slots=True)
class Conversation:
    """Counts of one association.

    Attributes:
        started_at: Monotonic seconds.
    """

    sender: Sender
    started_at: float = field(default_factory=time.monotonic)
    stored: int = 0
    refused: int = 0
    size_bytes: int = 0

    def count(self, answer: Answer | None, size_bytes: int) -> None:
        """Count an instance and, when it was refused, tell of it."""
        if answer is None:
            self.stored += 1
            self.size_bytes += size_bytes
            return
        self.refused += 1
        log.warning(
            "instance.refused",
            calling_ae_title=self.sender.calling_ae_title,
            status=f"{answer.status:04X}",
            reason=answer.reason,
        )

    def tell_refused(self, sop_class_uids: Sequence[str]) -> None:
        """Tell of presentation contexts that were not accepted."""
        if sop_class_uids:
            log.warning(
                "context.refused",
                calling_ae_title=self.sender.calling_ae_title,
                sop_class_uids=list(sop_class_uids),
                remedy="send instances of patients' studies only, in a transfer syntax of the conformance statement",
            )

    def ending(self, outcome: AssociationOutcome) -> Ending:
        """Return how it ended, with what it brought."""
        return Ending(outcome, self.stored, self.refused, self.size_bytes)

    def tell_end(self, aborted: str | None) -> None:
        """Write the association's one line.

        Args:
            aborted: Why it did not end with a release; None when it did.
        """
        bound = log.bind(
            calling_ae_title=self.sender.calling_ae_title,
            called_ae_title=self.sender.called_ae_title,
            address=self.sender.address,
            stored=self.stored,
            refused=self.refused,
            size_bytes=self.size_bytes,
            seconds=round(time.monotonic() - self.started_at, 3),
        )
        if aborted is None:
            bound.info("association.released")
        else:
            bound.warning("association.aborted", reason=aborted)
