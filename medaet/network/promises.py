"""N-ACTION of the Storage Commitment Push Model: a request taken, answered, and reported (PS3.4 §J.3)."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count

import structlog

from medaet.errors import DatabaseUnavailableError, InstanceError
from medaet.network.commitment import (
    REQUEST_COMMITMENT,
    WELL_KNOWN_INSTANCE,
    decode_request,
    encode,
    event_of,
)
from medaet.network.contexts import STORAGE_COMMITMENT
from medaet.network.dimse import (
    ACTION_TYPE_ID,
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    EVENT_TYPE_ID,
    MESSAGE_ID,
    MESSAGE_ID_RESPONDED_TO,
    N_EVENT_REPORT_RQ,
    NO_DATA_SET,
    REQUESTED_SOP_INSTANCE_UID,
    STATUS,
    Command,
    data_fragments,
    encode_command,
    response,
)
from medaet.network.negotiation import Context
from medaet.network.status import PROCESSING_FAILURE, RESOURCE_LIMITATION, SUCCESS
from medaet.store.associations import Sender
from medaet.store.commitments import Commitment, CommitmentStore

log = structlog.get_logger()

NO_SUCH_INSTANCE, INVALID_ARGUMENT, NO_SUCH_ACTION = 0x0112, 0x0115, 0x0123
"""PS3.7 §C.5."""

LONGEST_REQUEST_BYTES = 16 * 1024 * 1024
HAS_DATA_SET = NO_DATA_SET + 1

WAITS_FOR_RELEASE = timedelta(seconds=2)
"""Before the report comes in an association of its own: many peers answer one association at a time."""

WAITS_FOR_RESPONSE = timedelta(seconds=60)
"""Until the report is tried in an association of its own, when it went out in the peer's."""


class Promises:
    """The storage commitments of one association.

    Args:
        commitments: Where they are written down.
        sender: Who asks.
        maximum_length: Of the PDUs that it takes.
        reports_here: Whether reports go out in this association.
    """

    def __init__(
        self,
        commitments: CommitmentStore,
        sender: Sender,
        maximum_length: int,
        *,
        reports_here: bool,
    ) -> None:
        self._commitments = commitments
        self._sender = sender
        self._maximum_length = maximum_length
        self._reports_here = reports_here
        self._numbers = count(1)
        self._reported: dict[int, int] = {}

    def begin(self, context: Context, command: Command) -> "Promise":
        """Begin to take a request."""
        return Promise(context, command, self._answered)

    def hear(self, command: Command) -> None:
        """Take the response to a report."""
        commitment_id = self._reported.pop(command.number(MESSAGE_ID_RESPONDED_TO), None)
        if commitment_id is not None and command.number(STATUS) == SUCCESS:
            self._commitments.reported(commitment_id)

    def _answered(self, context: Context, command: Command, content: bytes) -> bytes:
        transaction, references = decode_request(content, context.transfer_syntax)
        wait = WAITS_FOR_RESPONSE if self._reports_here else WAITS_FOR_RELEASE
        answer = self._commitments.answer(self._sender, transaction, references, wait)
        log.info(
            "commitment.requested",
            calling_ae_title=self._sender.calling_ae_title,
            committed=len(answer.committed),
            failed=len(answer.failed),
        )
        said = _response(context, command, SUCCESS)
        return said + self._report(context, answer) if self._reports_here else said

    def _report(self, context: Context, answer: Commitment) -> bytes:
        """Encode an N-EVENT-REPORT (PS3.7 §10.3.1)."""
        event_type, event = event_of(answer)
        number = next(self._numbers)
        self._reported[number] = answer.id
        command = encode_command(
            context.context_id,
            [
                (AFFECTED_SOP_CLASS_UID, STORAGE_COMMITMENT),
                (COMMAND_FIELD, N_EVENT_REPORT_RQ),
                (MESSAGE_ID, number & 0xFFFF),
                (DATA_SET_TYPE, HAS_DATA_SET),
                (AFFECTED_SOP_INSTANCE_UID, WELL_KNOWN_INSTANCE),
                (EVENT_TYPE_ID, event_type),
            ],
        )
        content = encode(event, context.transfer_syntax)
        return command + b"".join(data_fragments(context.context_id, content, self._maximum_length))


class Promise:
    """One request whose data set is arriving (see Operation)."""

    def __init__(
        self,
        context: Context,
        command: Command,
        answered: Callable[[Context, Command, bytes], bytes],
    ) -> None:
        self.context_id = context.context_id
        self._context = context
        self._command = command
        self._answered = answered
        self._content = bytearray()
        self._is_too_long = False

    def write(self, pieces: Sequence[memoryview]) -> None:
        """Take bytes of the Action Information, up to a limit."""
        for piece in pieces:
            if len(self._content) + len(piece) > LONGEST_REQUEST_BYTES:
                self._is_too_long = True
            if not self._is_too_long:
                self._content += piece

    def finish(self) -> bytes:
        """Answer the request (PS3.4 §J.3.2)."""
        command = self._command
        if command.uid(REQUESTED_SOP_INSTANCE_UID) != WELL_KNOWN_INSTANCE:
            return self._refused(NO_SUCH_INSTANCE, "not the well-known SOP instance")
        if command.number(ACTION_TYPE_ID) != REQUEST_COMMITMENT:
            return self._refused(NO_SUCH_ACTION, "not action type 1")
        if self._is_too_long:
            return self._refused(RESOURCE_LIMITATION, "the request is too long")
        try:
            return self._answered(self._context, command, bytes(self._content))
        except InstanceError as error:
            return self._refused(INVALID_ARGUMENT, str(error))
        except DatabaseUnavailableError as error:
            return self._refused(PROCESSING_FAILURE, str(error))

    def discard(self) -> None:
        """Do nothing: nothing was kept."""

    def _refused(self, status: int, reason: str) -> bytes:
        log.warning("commitment.refused", status=f"{status:04X}", reason=reason)
        return _response(self._context, self._command, status)


def _response(context: Context, command: Command, status: int) -> bytes:
    action = command.values.get(ACTION_TYPE_ID)
    extra = ((ACTION_TYPE_ID, command.number(ACTION_TYPE_ID)),) if action else ()
    return response(command, context.context_id, status, extra=extra)
