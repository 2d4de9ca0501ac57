"""What a command set asks for: answered at once, or an operation that waits for its data set."""

from collections.abc import Sequence
from typing import Protocol

from medaet.network.contexts import VERIFICATION
from medaet.network.conversation import Conversation
from medaet.network.dimse import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_STORE_RQ,
    MESSAGE_ID,
    RESPONSE,
    Command,
    response,
)
from medaet.network.negotiation import Agreement, Context
from medaet.network.pdu import UNEXPECTED_PARAMETER, ProtocolError
from medaet.network.reception import InstanceSink, Reception, StoreRequest
from medaet.network.status import (
    CANNOT_UNDERSTAND,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    UNRECOGNISED_OPERATION,
)

NOTHING = b""
"""The answer to what is not answered."""


class Operation(Protocol):
    """One request whose data set is arriving."""

    @property
    def context_id(self) -> int:
        """Of the presentation context."""
        ...

    def write(self, pieces: Sequence[memoryview]) -> None:
        """Take bytes of the data set, valid during this call only."""
        ...

    def finish(self) -> bytes:
        """Do what was asked, now that the data set is there; return the encoded response."""
        ...

    def discard(self) -> None:
        """Forget it: the association ended before the data set did."""
        ...


class Operations:
    """Begins the operations of one association.

    Args:
        agreement: What was negotiated.
        conversation: Counts what comes.
        sink: Where instances go.
        maximum_instance_bytes: Longer data sets are refused.
    """

    def __init__(
        self,
        agreement: Agreement,
        conversation: Conversation,
        sink: InstanceSink,
        *,
        maximum_instance_bytes: int,
    ) -> None:
        self._contexts = agreement.contexts
        self._conversation = conversation
        self._sink = sink
        self._maximum_instance_bytes = maximum_instance_bytes

    def begin(self, context_id: int, command: Command) -> Operation | bytes:
        """Answer a request that is complete, or begin the operation that waits for its data set.

        Raises:
            ProtocolError: the presentation context was not accepted, or the command set lacks what it must hold.

        Source:
            PS3.7 §9.3, §C.5.23 for operations that are not known.
        """
        context = self._contexts.get(context_id)
        if context is None:
            raise ProtocolError(
                f"presentation context {context_id} was not accepted", UNEXPECTED_PARAMETER
            )
        field = command.field
        if (
            field & RESPONSE or field == C_CANCEL_RQ
        ):  # to nothing that we asked for, of nothing that runs
            return self._refused(context_id, command, NOTHING)
        if field == C_ECHO_RQ:
            known = context.abstract_syntax == VERIFICATION
            status = SUCCESS if known else SOP_CLASS_NOT_SUPPORTED
        elif field != C_STORE_RQ:
            status = UNRECOGNISED_OPERATION
        elif command.has_data_set:
            return self._store(context, command)
        else:
            status = CANNOT_UNDERSTAND
        return self._refused(context_id, command, response(command, context_id, status))

    def _store(self, context: Context, command: Command) -> Operation:
        command.number(MESSAGE_ID)  # what cannot be answered must not be stored
        request = StoreRequest(
            sop_class_uid=command.uid(AFFECTED_SOP_CLASS_UID),
            sop_instance_uid=command.uid(AFFECTED_SOP_INSTANCE_UID),
            abstract_syntax=context.abstract_syntax,
            transfer_syntax=context.transfer_syntax,
        )
        reception = Reception(
            request,
            self._conversation.sender,
            self._sink,
            maximum_bytes=self._maximum_instance_bytes,
        )
        return _Store(context.context_id, command, reception, self._conversation)

    def _refused(self, context_id: int, command: Command, answer: bytes) -> Operation | bytes:
        """Let the data set pass, if there is one, before the answer."""
        return _Dropped(context_id, answer) if command.has_data_set else answer


class _Store:
    """A C-STORE (PS3.7 §9.1.1)."""

    def __init__(
        self, context_id: int, command: Command, reception: Reception, conversation: Conversation
    ) -> None:
        self.context_id = context_id
        self._command = command
        self._reception = reception
        self._conversation = conversation

    def write(self, pieces: Sequence[memoryview]) -> None:
        self._reception.write(pieces)

    def finish(self) -> bytes:
        answer = self._reception.finish()
        self._conversation.count(answer, self._reception.size_bytes)
        if answer is None:
            return response(self._command, self.context_id, SUCCESS)
        return response(self._command, self.context_id, answer.status, answer.peer_comment)

    def discard(self) -> None:
        self._reception.discard()


class _Dropped:
    """An operation whose answer is known, but whose data set must be let pass."""

    def __init__(self, context_id: int, answer: bytes) -> None:
        self.context_id = context_id
        self._answer = answer

    def write(self, pieces: Sequence[memoryview]) -> None:
        """Drop the pieces."""

    def finish(self) -> bytes:
        return self._answer

    def discard(self) -> None:
        """Do nothing: nothing was kept."""
