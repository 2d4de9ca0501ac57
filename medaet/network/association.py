"""One association from its request to its end (PS3.8 §9.2, as acceptor), in a thread of its own."""

import ssl
from dataclasses import dataclass

import structlog

from medaet.network.admission import STOPPING, Admission, Caller, Refusal
from medaet.network.conversation import Conversation
from medaet.network.dimse import decode_command
from medaet.network.habits import understood
from medaet.network.negotiation import Agreement, misunderstanding
from medaet.network.operations import Operation, Operations
from medaet.network.pdu import (
    ABORT,
    ASSOCIATE_RQ,
    NOT_SPECIFIED,
    SERVICE_PROVIDER,
    SERVICE_USER,
    UNEXPECTED_PARAMETER,
    UNEXPECTED_PDU,
    ProtocolError,
    encode_abort,
    encode_reject,
    encode_release_response,
)
from medaet.network.promises import Promises
from medaet.network.reception import InstanceSink
from medaet.network.wire import ConnectionEndedError, Fragment, Wire
from medaet.store.associations import Sender
from medaet.store.commitments import CommitmentStore
from medaet.store.tables import AssociationOutcome

log = structlog.get_logger()

REQUEST_SECONDS = 10.0
"""Until the association request is there: the ARTIM timer (PS3.8 §9.1.5)."""

LONGEST_COMMAND_BYTES = 64 * 1024


@dataclass(slots=True)
class Service:
    """What all associations share.

    Attributes:
        maximum_instance_bytes: Longer data sets are refused.
        idle_seconds: How long a peer may say nothing.
        tls: For the connections that are to be secure.
        is_stopping: Set when nothing new is to be taken.
        commitments: Where storage commitments are written down; None when they are not offered.
        reports_here: Whether these are reported in the association in which they are asked for.
    """

    admission: Admission
    sink: InstanceSink
    maximum_instance_bytes: int
    idle_seconds: float
    tls: ssl.SSLContext | None = None
    is_stopping: bool = False
    commitments: CommitmentStore | None = None
    reports_here: bool = False

    def promises(self, sender: Sender, maximum_length: int) -> Promises | None:
        """Return what takes requests for storage commitment in one association."""
        if self.commitments is None:
            return None
        return Promises(self.commitments, sender, maximum_length, reports_here=self.reports_here)


class Association:
    """Serves one connection.

    Attributes:
        is_waiting: Until the peer is let in, refused or cut off.

    Args:
        wire: The connection; it is closed in the end.
        address: The peer's.
        service: What all associations share.
        is_secure: Whether the connection is to speak TLS.
    """

    def __init__(
        self, wire: Wire, address: str, service: Service, *, is_secure: bool = False
    ) -> None:
        self.address = address
        self.is_waiting = True
        self._wire = wire
        self._service = service
        self._is_secure = is_secure
        self._is_established = self._is_busy = False
        self._command = bytearray()
        self._operation: Operation | None = None
        self._pieces: list[memoryview] = []

    def run(self) -> None:
        """Serve it to its end; whatever the peer does, it costs this association only."""
        try:
            self._serve()
        except ProtocolError as error:
            self._abort(SERVICE_PROVIDER, error.reason)
            log.warning("connection.dropped", address=self.address, reason=str(error))
        except ConnectionEndedError as error:
            is_to_be_told = error.is_to_be_told or self._service.is_stopping
            if is_to_be_told and self._is_established:
                self._abort(SERVICE_USER, NOT_SPECIFIED)
            log.debug("connection.dropped", address=self.address, reason=str(error))
        finally:
            self._wire.close()

    def stop(self) -> None:
        """Let the peer finish what it has begun to send, if anything; the service is stopping."""
        if not self._is_busy:
            self._wire.interrupt()

    def end(self) -> None:
        """Cut the connection; the thread ends once it is back from the sink."""
        self.is_waiting = False
        self._wire.cut()

    def close(self) -> None:
        """Close the connection; there is no thread."""
        self._wire.close()

    @property
    def is_busy(self) -> bool:
        """Whether the peer has begun something and has no answer yet."""
        return self._is_busy

    def _serve(self) -> None:
        certificate = self._secured()
        kind, body = self._wire.read_pdu(REQUEST_SECONDS)
        if kind == ABORT:
            return
        if kind != ASSOCIATE_RQ:
            raise ProtocolError(f"a PDU of type {kind:02X} came first", UNEXPECTED_PDU)
        request, agreement = understood(body, commitment=self._service.commitments is not None)
        caller = Caller(
            request.calling_ae_title, request.called_ae_title, self.address, certificate
        )
        refusal = misunderstanding(request) or self._refusal(caller)
        self.is_waiting = False
        if refusal is not None:
            refusal.tell(caller.calling_ae_title, caller.called_ae_title, self.address)
            self._wire.send(encode_reject(refusal.result, refusal.source, refusal.diagnostic))
            self._wire.linger()
            return
        self._serve_admitted(agreement, caller)

    def _secured(self) -> str | None:
        """Shake hands if the connection is to be secure; return the SHA-256 of the peer's certificate, if any."""
        if not self._is_secure:
            return None
        assert self._service.tls is not None
        return self._wire.secure(self._service.tls, REQUEST_SECONDS)

    def _refusal(self, caller: Caller) -> Refusal | None:
        """Take a seat for the association, or say why it gets none."""
        return STOPPING if self._service.is_stopping else self._service.admission.admit(caller)

    def _serve_admitted(self, agreement: Agreement, caller: Caller) -> None:
        service = self._service
        admission = service.admission
        sender = Sender(caller.calling_ae_title, caller.called_ae_title, caller.address)
        conversation = Conversation(sender)
        aborted: str | None = "a defect"
        try:
            conversation.tell_refused(agreement.refused)
            self._wire.send(agreement.answer)
            self._is_established = True
            self._converse(agreement, conversation)
            aborted = None
            self._wire.send(encode_release_response())
        except (ProtocolError, ConnectionEndedError) as error:
            aborted = aborted and str(error)
            raise
        finally:
            admission.leave(caller)
            outcome = self._outcome(aborted)
            if self._operation is not None:
                self._operation.discard()
            conversation.tell_end(aborted)
            service.sink.end(sender, conversation.ending(outcome))
        self._wire.linger()

    def _outcome(self, aborted: str | None) -> AssociationOutcome:
        if aborted is None:
            return AssociationOutcome.RELEASED
        broken = self._operation is not None
        return AssociationOutcome.BROKEN if broken else AssociationOutcome.ABORTED

    def _converse(self, agreement: Agreement, conversation: Conversation) -> None:
        """Answer message after message, until the peer asks for release."""
        service = self._service
        operations = Operations(
            agreement,
            conversation,
            service.sink,
            maximum_instance_bytes=service.maximum_instance_bytes,
            promises=service.promises(conversation.sender, agreement.maximum_length),
        )
        for batch in self._wire.fragments():
            for fragment in batch:
                if fragment.is_command:
                    self._take_command(fragment, operations)
                else:
                    self._take_data(fragment)
            self._hand_on()
        if self._is_busy:
            raise ProtocolError("the peer asked for release within a message", UNEXPECTED_PDU)

    def _take_command(self, fragment: Fragment, operations: Operations) -> None:
        if self._operation is not None:
            raise ProtocolError("a command came before the data set had ended", UNEXPECTED_PDU)
        if not self._is_busy:
            self._is_busy = True
            self._wire.begin_message()
        self._command += fragment.content
        if len(self._command) > LONGEST_COMMAND_BYTES:
            raise ProtocolError(f"the command set is longer than {LONGEST_COMMAND_BYTES} bytes")
        if not fragment.is_last:
            return
        command = decode_command(bytes(self._command))
        self._command.clear()
        begun = operations.begin(fragment.context_id, command)
        if isinstance(begun, bytes):
            self._answer(begun)
        else:
            self._operation = begun

    def _take_data(self, fragment: Fragment) -> None:
        operation = self._operation
        if operation is None or operation.context_id != fragment.context_id:
            raise ProtocolError("a data set came without its command", UNEXPECTED_PARAMETER)
        self._pieces.append(fragment.content)
        if fragment.is_last:
            self._hand_on()
            answer = operation.finish()
            self._operation = None
            self._answer(answer)

    def _hand_on(self) -> None:
        """Hand on what has arrived of a data set, in as few calls as possible."""
        if self._pieces and self._operation is not None:
            self._operation.write(self._pieces)
            self._pieces.clear()

    def _answer(self, content: bytes) -> None:
        """Send a response, if there is one, and take the next message unless the service stops."""
        self._wire.end_message()
        if content:
            self._wire.send(content)
        self._is_busy = False
        if self._service.is_stopping:
            raise ConnectionEndedError("the daemon is stopping", is_to_be_told=True)

    def _abort(self, source: int, reason: int) -> None:
        try:
            self._wire.send(encode_abort(source, reason))
        except ConnectionEndedError:  # nobody is there to be told
            return
        self._wire.linger()
