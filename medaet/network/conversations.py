"""The open associations of a storage SCP: what each has brought, and which of them is owed an answer."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from pynetdicom.association import Association

log = structlog.get_logger()


@dataclass(slots=True)
class Conversation:
    """What one association has brought so far.

    Attributes:
        started_at: Monotonic seconds.
        is_answering: From the start of a C-STORE until its response is out.
        is_owed: When the SCP stopped, a C-STORE had begun to arrive; that one will still be stored.
    """

    calling_ae_title: str
    called_ae_title: str
    address: str
    started_at: float = field(default_factory=time.monotonic)
    stored: int = 0
    refused: int = 0
    size_bytes: int = 0
    is_answering: bool = False
    is_owed: bool = False


class Conversations:
    """All of them; safe to use from the threads of the associations.

    Args:
        on_end: Called once for each conversation that ends.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._open: dict[Association, Conversation] = {}
        self._changed = threading.Condition()
        self._is_stopping = False

    @property
    def is_stopping(self) -> bool:
        """Whether nothing new is taken."""
        return self._is_stopping

    def begin(self, association: Association, conversation: Conversation) -> None:
        """Add a conversation."""
        with self._changed:
            self._open[association] = conversation

    def of(self, association: Association) -> Conversation:
        """Return the conversation of an open association."""
        return self._open[association]

    def begin_answer(self, association: Association) -> bool:
        """Note that a C-STORE has arrived, and say whether it may still be stored."""
        with self._changed:
            conversation = self._open[association]
            may = conversation.is_owed or not self._is_stopping
            conversation.is_answering, conversation.is_owed = True, False
            return may

    def end_answer(self, association: Association) -> None:
        """Note that a response is out."""
        conversation = self._open.get(association)
        if conversation is not None and conversation.is_answering:
            with self._changed:
                conversation.is_answering = False
                self._changed.notify_all()

    def stop(self) -> None:
        """Take nothing new, except the C-STOREs that have begun to arrive."""
        with self._changed:
            self._is_stopping = True
            for association, conversation in self._open.items():
                dimse = association.dimse
                conversation.is_owed = dimse.message is not None or not dimse.msg_queue.empty()

    def wait_for_answers(self, seconds: float) -> None:
        """Wait until nobody is owed an answer, for so long at most."""
        with self._changed:
            self._changed.wait_for(self._is_quiet, seconds)

    def sweep(self) -> None:
        """End what ended without an event, such as an association whose thread failed."""
        for association in list(self._open):
            if not association.is_alive():
                self.end(association, is_released=False)

    def end(self, association: Association, *, is_released: bool) -> None:
        """Take a conversation off the list, and write its one line."""
        with self._changed:
            conversation = self._open.pop(association, None)
            self._changed.notify_all()
        if conversation is None:
            return
        self._on_end()
        bound = log.bind(
            calling_ae_title=conversation.calling_ae_title,
            called_ae_title=conversation.called_ae_title,
            address=conversation.address,
            stored=conversation.stored,
            refused=conversation.refused,
            size_bytes=conversation.size_bytes,
            seconds=round(time.monotonic() - conversation.started_at, 3),
        )
        if is_released:
            bound.info("association.released")
        else:
            bound.warning("association.aborted")

    def _is_quiet(self) -> bool:
        return not any(one.is_answering or one.is_owed for one in self._open.values())
