"""DIMSE statuses of C-STORE (PS3.4 §B.2.3, PS3.7 Annex C): from errors to answers, and from answers to errors."""

import traceback
from dataclasses import dataclass

import structlog

from medaet.errors import (
    DatabaseUnavailableError,
    InstanceError,
    MedaetError,
    OutOfSpaceError,
    PeerBusyError,
    PeerRefusedError,
)

log = structlog.get_logger()

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
SOP_CLASS_NOT_SUPPORTED = 0x0122
UNRECOGNISED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH_SOP_CLASS = 0xA900
CANNOT_UNDERSTAND = 0xC000

LONGEST_COMMENT = 64
"""Characters of an Error Comment (PS3.7 §C.4.1; VR LO)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status that is not Success.

    Attributes:
        reason: For our log.
        comment: For the peer; the reason itself unless it tells about this host.
    """

    status: int
    reason: str
    comment: str

    @property
    def peer_comment(self) -> str:
        """The comment as an Error Comment may hold it."""
        comment = self.comment.encode("ascii", "replace").decode("ascii").replace("\\", "/")
        return comment[:LONGEST_COMMENT]


def answer_to(error: Exception) -> Answer:
    """Say what a peer is told when storing its instance raised an error."""
    match error:
        case OutOfSpaceError() | DatabaseUnavailableError():
            return Answer(OUT_OF_RESOURCES, str(error), "out of resources; try again later")
        case InstanceError():
            return Answer(CANNOT_UNDERSTAND, str(error), str(error))
    where = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "instance.failed",
        error=type(error).__name__,
        place=f"{where.filename}:{where.lineno}",  # and no message: it may quote the data set
    )
    return Answer(PROCESSING_FAILURE, f"a defect: {type(error).__name__}", "internal error")


def is_stored(status: int) -> bool:
    """Whether the peer has the instance: Success, or a warning of the B range."""
    return status == SUCCESS or status & 0xF000 == 0xB000


def error_of(status: int, peer: str) -> MedaetError | None:
    """Say what a peer's status means for the delivery; None when the instance is stored.

    The peer's Error Comment stays out of the message: it may name the patient.
    """
    if is_stored(status):
        return None
    if status & 0xFF00 == OUT_OF_RESOURCES or status == RESOURCE_LIMITATION:
        return PeerBusyError(f"{peer} is out of resources for now (status {status:04X})")
    return PeerRefusedError(
        f"{peer} refused the instance with status {status:04X} ({_meaning(status)}); "
        "look at the peer's log, then retry the delivery"
    )


def _meaning(status: int) -> str:
    named = {
        PROCESSING_FAILURE: "processing failure",
        0x0117: "invalid SOP instance",
        SOP_CLASS_NOT_SUPPORTED: "SOP class not supported",
        0x0124: "not authorised",
    }
    if status in named:
        return named[status]
    if status & 0xFF00 == DOES_NOT_MATCH_SOP_CLASS:
        return "data set does not match SOP class"
    return "cannot understand" if status & 0xF000 == CANNOT_UNDERSTAND else "failure"
