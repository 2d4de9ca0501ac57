"""The storage SCP on pynetdicom: the fallback for the engine of our own, with the same answers."""

import threading
import time
from collections.abc import Iterable, Sequence

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation

from medaet.config.model import Listener, Peer
from medaet.network import contexts, presentation
from medaet.network.admission import STOPPING, Admission, Caller, Refusal, Seats
from medaet.network.conversation import Conversation
from medaet.network.conversations import Conversations
from medaet.network.listening import Door, open_doors
from medaet.network.reception import InstanceSink, Reception, StoreRequest
from medaet.network.sockets import NETWORK_SECONDS
from medaet.network.status import OUT_OF_RESOURCES, SUCCESS, Answer
from medaet.network.toolkit import application_entity
from medaet.network.transport import SPARE_CONNECTIONS, Server
from medaet.store.associations import Ending, Sender

ASSOCIATION_REQUEST_SECONDS = 10.0
ACCEPT_POLL_SECONDS = 0.1


class FallbackEngine:
    """Accepts associations in a thread each, until it is stopped.

    Args:
        listener: Address, AE titles and limits.
        peers: Who may call.
        sink: Where instances go; it is called from many threads.
        doors: Bound sockets, shared with other processes; None to bind what the listener says.
        seats: Shared with other processes; None to count only here.

    Raises:
        ConfigError: the listener's address cannot be bound.
    """

    def __init__(
        self,
        listener: Listener,
        peers: Iterable[Peer],
        sink: InstanceSink,
        *,
        doors: Sequence[Door] | None = None,
        seats: Seats | None = None,
    ) -> None:
        self._sink = sink
        self._maximum_instance_bytes = listener.maximum_instance_bytes
        seats = seats or Seats(
            listener.maximum_associations, per_address=listener.maximum_associations_per_address
        )
        self._admission = Admission(listener, peers, seats, sink.congestion)
        self._conversations = Conversations(self._leave)
        entity = application_entity(
            listener.ae_title,
            dimse_seconds=NETWORK_SECONDS,
            acse_seconds=ASSOCIATION_REQUEST_SECONDS,
        )
        entity.maximum_associations = 1_000_000  # pynetdicom counts mute connections too; we do not
        self._server = Server(
            entity,
            (doors or open_doors(listener))[0].socket,
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
    def ports(self) -> list[int]:
        """The port that is listened on."""
        return [int(self._server.server_address[1])]

    def reload(self, listener: Listener, peers: Iterable[Peer]) -> None:
        """Take over who may call and under which titles, for new associations."""
        seats = self._admission.seats
        self._admission = Admission(listener, peers, seats, self._sink.congestion)

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
        sender = Sender(
            calling_ae_title=request.calling_ae_title.strip(),
            called_ae_title=request.called_ae_title.strip(),
            address=association.requestor.address,
        )
        refusal = self._admit(sender)
        if refusal is None:
            self._conversations.begin(association, Conversation(sender))
            association.acceptor.supported_contexts = presentation.supported(
                request.presentation_context_definition_list
            )
            return
        refusal.tell(sender.calling_ae_title, sender.called_ae_title, sender.address)
        association.acse.send_reject(refusal.result, refusal.source, refusal.diagnostic)
        association.kill()  # returns once the rejection is out

    def _admit(self, sender: Sender) -> Refusal | None:
        if self._conversations.is_stopping:
            return STOPPING
        caller = Caller(sender.calling_ae_title, sender.called_ae_title, sender.address)
        return self._admission.admit(caller)

    def _leave(self, sender: Sender, ending: Ending) -> None:
        caller = Caller(sender.calling_ae_title, sender.called_ae_title, sender.address)
        self._admission.leave(caller)
        self._sink.end(sender, ending)

    def _on_accepted(self, event: evt.Event) -> None:
        refused = sorted(
            {str(context.abstract_syntax) for context in event.assoc.rejected_contexts}
        )
        self._conversations.of(event.assoc).tell_refused(refused)

    def _on_store(self, event: evt.Event) -> int | Dataset:
        """Answer one C-STORE request (PS3.4 §B.2.3)."""
        conversation = self._conversations.of(event.assoc)
        with event.request.DataSet.getbuffer() as data_set:
            size_bytes = data_set.nbytes
            if self._conversations.begin_answer(event.assoc):
                answer = self._take(event, data_set, conversation.sender)
            else:
                answer = Answer(OUT_OF_RESOURCES, STOPPING.reason, STOPPING.reason)
        conversation.count(answer, size_bytes)
        return SUCCESS if answer is None else _response(answer)

    def _take(self, event: evt.Event, data_set: memoryview, sender: Sender) -> Answer | None:
        """Store what a request brings; None when it is stored."""
        request = StoreRequest(
            sop_class_uid=str(event.request.AffectedSOPClassUID),
            sop_instance_uid=str(event.request.AffectedSOPInstanceUID),
            abstract_syntax=str(event.context.abstract_syntax),
            transfer_syntax=str(event.context.transfer_syntax),
        )
        maximum = self._maximum_instance_bytes
        reception = Reception(request, sender, self._sink, maximum_bytes=maximum)
        reception.write([data_set])
        return reception.finish()

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


def _response(answer: Answer) -> Dataset:
    """Make the status elements of a C-STORE-RSP."""
    elements = Dataset()
    elements.Status = answer.status
    elements.ErrorComment = answer.peer_comment
    return elements
