"""One C-STORE (PS3.4 Annex B): its data set to the sink piece by piece, and Success only once it is there for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from medaet.dicom.identity import checked_uid
from medaet.dicom.intake import Intake
from medaet.errors import InstanceError
from medaet.network.part10 import file_header
from medaet.network.status import DOES_NOT_MATCH_SOP_CLASS, Answer, answer_to
from medaet.store.associations import Ending, Sender

Buffer = bytes | memoryview


class Incoming(Protocol):
    """An instance on its way into the sink; it ends with `keep` or `discard`."""

    def write(self, pieces: Sequence[Buffer]) -> None:
        """Add bytes of the file (PS3.10 §7); the pieces are valid during this call only.

        Raises:
            OutOfSpaceError: they cannot be written.
        """
        ...

    def inspect(self) -> Intake:
        """Read what came, and make sure that it is whole.

        Raises:
            InstanceError: it is no instance, or not all of one.
        """
        ...

    def keep(self, intake: Intake, sender: Sender) -> object:
        """Keep it for good; to return is to promise that it survives.

        Raises:
            OutOfSpaceError, DatabaseUnavailableError: answered A700, so that the sender tries again.
            InstanceError: answered C000.
        """
        ...

    def discard(self) -> None:
        """Leave nothing of it; may be called again, and after `keep` has failed."""
        ...


class InstanceSink(Protocol):
    """Where received instances go; it is used by many threads."""

    def congestion(self) -> str | None:
        """Say why nothing can be taken just now; None when something can."""
        ...

    def open(self, start: bytes, transfer_syntax_uid: str) -> Incoming:
        """Begin an instance.

        Args:
            start: Preamble and file meta information; the data set follows.
            transfer_syntax_uid: Of the data set.

        Raises:
            OutOfSpaceError: there is no room for it.
        """
        ...

    def end(self, sender: Sender, ending: Ending) -> None:
        """Hear how an association ended that may have brought instances; raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What a C-STORE request says before its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    abstract_syntax: str
    transfer_syntax: str


class Reception:
    """One instance from its request to the answer.

    What is wrong with it is kept until the data set is there, for the answer: a peer sends all of it anyway.

    Args:
        request: What the peer says it sends.
        sender: Who that is.
        sink: Where the instance goes.
        maximum_bytes: Longer data sets are refused.
    """

    def __init__(
        self, request: StoreRequest, sender: Sender, sink: InstanceSink, *, maximum_bytes: int
    ) -> None:
        self.size_bytes = 0
        self._request = request
        self._sender = sender
        self._maximum_bytes = maximum_bytes
        self._incoming: Incoming | None = None
        self._answer: Answer | None = None
        try:
            self._incoming = self._opened(sink)
        except Exception as error:  # noqa: BLE001 -- the peer must get an answer, whatever happens
            self._answer = answer_to(error)

    def write(self, pieces: Sequence[Buffer]) -> None:
        """Take bytes of the data set."""
        self.size_bytes += sum(map(len, pieces))
        if self._incoming is None:
            return
        if self.size_bytes > self._maximum_bytes:
            self._refuse(InstanceError(f"the data set is longer than {self._maximum_bytes} bytes"))
            return
        try:
            self._incoming.write(pieces)
        except Exception as error:  # noqa: BLE001 -- as above
            self._refuse(error)

    def finish(self) -> Answer | None:
        """Keep the instance, now that all of it is there; None when that succeeded."""
        if self._incoming is not None:
            try:
                self._answer = self._kept(self._incoming)
            except Exception as error:  # noqa: BLE001 -- as above
                self._answer = answer_to(error)
            if self._answer is not None:
                self.discard()
        return self._answer

    def discard(self) -> None:
        """Leave nothing of the instance: its association ended before it did."""
        if self._incoming is not None:
            self._incoming.discard()
            self._incoming = None

    def _opened(self, sink: InstanceSink) -> Incoming:
        request = self._request
        start = file_header(
            sop_class_uid=checked_uid(request.sop_class_uid, "Affected SOP Class UID"),
            sop_instance_uid=checked_uid(request.sop_instance_uid, "Affected SOP Instance UID"),
            transfer_syntax_uid=request.transfer_syntax,
        )
        return sink.open(start, request.transfer_syntax)

    def _kept(self, incoming: Incoming) -> Answer | None:
        request = self._request
        if request.sop_class_uid != request.abstract_syntax:
            return _mismatch("the SOP class is not that of the presentation context")
        intake = incoming.inspect()
        if (intake.ref.sop_class_uid, intake.ref.sop_instance_uid) != (
            request.sop_class_uid,
            request.sop_instance_uid,
        ):
            return _mismatch("the UIDs of the data set are not those of the request")
        incoming.keep(intake, self._sender)
        return None

    def _refuse(self, error: Exception) -> None:
        self._answer = answer_to(error)
        self.discard()


def _mismatch(reason: str) -> Answer:
    return Answer(DOES_NOT_MATCH_SOP_CLASS, reason, reason)
