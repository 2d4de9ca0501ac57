"""The storage SCP (PS3.4 Annex B): received bytes to a sink, and Success only once the sink has them for good."""

import threading
import time
from collections.abc import Iterable, Sequence
from socket import socket
from typing import Protocol

import structlog
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation

from medaet.config.model import Listener, Peer
from medaet.dicom.header import read_header
from medaet.dicom.identity import InstanceHeader, checked_uid
from medaet.network import contexts
from medaet.network.admission import STOPPING, Admission, Places, Refusal
from medaet.network.conversations import Conversation, Conversations
from medaet.network.part10 import file_header
from medaet.network.sockets import NETWORK_SECONDS
from medaet.network.status import (
    DOES_NOT_MATCH_SOP_CLASS,
    OUT_OF_RESOURCES,
    SUCCESS,
    Answer,
    answer_to,
    response,
)
from medaet.network.toolkit import application_entity
from medaet.network.transport import SPARE_CONNECTIONS, Server, listening_socket

log = structlog.get_logger()

ASSOCIATION_REQUEST_SECONDS = 10.0
ACCEPT_POLL_SECONDS = 0.1


class InstanceSink(Protocol):
    """Where received instances go."""

    def store(
        self,
        header: InstanceHeader,
        content: Sequence[bytes | memoryview],
        *,
        calling_ae_title: str,
        called_ae_title: str,
    ) -> None:
        """Keep an instance for good; to return is to promise that it survives.

        Args:
            header: Of the instance.
            content: The whole file (PS3.10 §7), in pieces that are valid during this call only.
            calling_ae_title: The sender's.
            called_ae_title: The one the sender asked for.

        Raises:
            OutOfSpaceError: answered A700, so that the sender tries again.
            DatabaseUnavailableError: answered A700 too.
            InstanceError: answered C000.
        """
        ...


class StorageSCP:
    """Accepts associations in a thread each, until it is stopped.

    Args:
        listener: Address, AE titles and limits.
        peers: Who may call.
        sink: Where instances go; it is called from many threads.
        listening: A bound socket, shared with other processes; None to bind one from the listener.
        places: The count of associations shared with other processes; None to count only here.

    Raises:
        ConfigError: the listener's address cannot be bound.
    """

    def __init__(
        self,
        listener: Listener,
        peers: Iterable[Peer],
        sink: InstanceSink,
        *,
        listening: socket | None = None,
        places: Places | None = None,
    ) -> None:
        self._sink = sink
        self._admission = Admission(
            listener, peers, places or Places(listener.maximum_associations)
        )
        self._conversations = Conversations(self._admission.leave)
        entity = application_entity(
            listener.ae_title,
            dimse_seconds=NETWORK_SECONDS,
            acse_seconds=ASSOCIATION_REQUEST_SECONDS,
        )
        entity.maximum_associations = 1_000_000  # pynetdicom counts mute connections too; we do not
        self._server = Server(
            entity,
            listening or listening_socket(listener.host, listener.port),
            [
                (evt.EVT_REQUESTED, self._on_requested),
                (evt.EVT_SOP_COMMON, _on_sop_common),
                (evt.EVT_ACCEPTED, self._on_accepted),
                (evt.EVT_C_STORE, self._on_store),
                (evt.EVT_PDU_SENT, self._on_sent),
                (evt.EVT_RELEASED, self._on_released),
                (evt.EVT_ABORTED, self._on_aborted),
            ],
            maximum_connections=listener.maximum_associations + SPARE_CONNECTIONS,
            on_tick=self._conversations.sweep,
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(ACCEPT_POLL_SECONDS,), name="listener"
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Accept associations from now on."""
        self._thread.start()

    def stop(self, drain_seconds: float) -> None:
        """Stop accepting, let C-STOREs that have begun to arrive finish, then abort what is open.

        Args:
            drain_seconds: How long to wait for those C-STOREs at most.
        """
        self._conversations.stop()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._conversations.wait_for_answers(drain_seconds)
        for association in self._server.active_associations:
            if association.is_established:
                association.abort(block=False)
            else:  # it has not been asked for yet: there is nobody to tell
                association.dul.socket.close()
        deadline = time.monotonic() + 2
        for association in self._server.active_associations:
            association.join(max(deadline - time.monotonic(), 0))
        self._conversations.sweep()

    def _on_requested(self, event: evt.Event) -> None:
        """Refuse the association, or choose its presentation contexts."""
        association, request = event.assoc, event.assoc.requestor.primitive
        conversation = Conversation(
            calling_ae_title=request.calling_ae_title.strip(),
            called_ae_title=request.called_ae_title.strip(),
            address=association.requestor.address,
        )
        refusal = self._admit(conversation)
        if refusal is None:
            self._conversations.begin(association, conversation)
            association.acceptor.supported_contexts = contexts.supported(
                request.presentation_context_definition_list
            )
            return
        log.warning(
            "association.refused",
            calling_ae_title=conversation.calling_ae_title,
            called_ae_title=conversation.called_ae_title,
            address=conversation.address,
            reason=refusal.reason,
            remedy=refusal.remedy,
        )
        association.acse.send_reject(refusal.result, refusal.source, refusal.diagnostic)
        association.kill()  # returns once the rejection is out

    def _admit(self, conversation: Conversation) -> Refusal | None:
        if self._conversations.is_stopping:
            return STOPPING
        return self._admission.admit(
            calling_ae_title=conversation.calling_ae_title,
            called_ae_title=conversation.called_ae_title,
        )

    def _on_accepted(self, event: evt.Event) -> None:
        refused = sorted(
            {str(context.abstract_syntax) for context in event.assoc.rejected_contexts}
        )
        if refused:
            log.warning(
                "context.refused",
                calling_ae_title=self._conversations.of(event.assoc).calling_ae_title,
                sop_class_uids=refused,
                remedy="send instances of patients' studies only, in a transfer syntax of the conformance statement",
            )

    def _on_store(self, event: evt.Event) -> int | Dataset:
        """Answer one C-STORE request (PS3.4 §B.2.3)."""
        conversation = self._conversations.of(event.assoc)
        if self._conversations.begin_answer(event.assoc):
            answer = self._take(event, conversation)
        else:
            answer = Answer(OUT_OF_RESOURCES, STOPPING.reason, STOPPING.reason)
        if answer is None:
            conversation.stored += 1
            return SUCCESS
        conversation.refused += 1
        log.warning(
            "instance.refused",
            calling_ae_title=conversation.calling_ae_title,
            status=f"{answer.status:04X}",
            reason=answer.reason,
        )
        return response(answer)

    def _take(self, event: evt.Event, conversation: Conversation) -> Answer | None:
        """Store what a request brings; None when it is stored."""
        try:
            return self._stored(event, conversation)
        except Exception as error:  # noqa: BLE001 -- the peer must get an answer, whatever happens
            return answer_to(error)

    def _stored(self, event: evt.Event, conversation: Conversation) -> Answer | None:
        request, context = event.request, event.context
        sop_class_uid = checked_uid(str(request.AffectedSOPClassUID), "Affected SOP Class UID")
        sop_instance_uid = checked_uid(
            str(request.AffectedSOPInstanceUID), "Affected SOP Instance UID"
        )
        start = file_header(
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=str(context.transfer_syntax),
        )
        with request.DataSet.getbuffer() as data_set:
            header = read_header(b"".join((start, data_set)))
            if sop_class_uid != str(context.abstract_syntax):
                return _mismatch("the SOP class is not that of the presentation context")
            if (header.sop_class_uid, header.sop_instance_uid) != (sop_class_uid, sop_instance_uid):
                return _mismatch("the UIDs of the data set are not those of the request")
            self._sink.store(
                header,
                (start, data_set),
                calling_ae_title=conversation.calling_ae_title,
                called_ae_title=conversation.called_ae_title,
            )
            conversation.size_bytes += data_set.nbytes
        return None

    def _on_sent(self, event: evt.Event) -> None:
        self._conversations.end_answer(event.assoc)

    def _on_released(self, event: evt.Event) -> None:
        self._conversations.end(event.assoc, is_released=True)

    def _on_aborted(self, event: evt.Event) -> None:
        self._conversations.end(event.assoc, is_released=False)


def _on_sop_common(event: evt.Event) -> dict[str, SOPClassCommonExtendedNegotiation]:
    """Tell pynetdicom that every class we take is of the storage service, private and future ones too.

    Nothing of it goes to the peer (PS3.7 §D.3.3.6). pynetdicom's own switch for unrestricted storage would also
    take transfer syntaxes and well-known classes that cannot be stored.
    """
    items = {}
    for context in event.assoc.acceptor.supported_contexts:
        if context.abstract_syntax != contexts.VERIFICATION:
            item = SOPClassCommonExtendedNegotiation()
            item.sop_class_uid = context.abstract_syntax
            item.service_class_uid = contexts.STORAGE_SERVICE_CLASS
            items[context.abstract_syntax] = item
    return items


def _mismatch(reason: str) -> Answer:
    return Answer(DOES_NOT_MATCH_SOP_CLASS, reason, reason)
