"""The open associations of the fallback SCP, and which of them is owed an answer."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from pynetdicom.association import Association

from medaet.network.conversation import Conversation
from medaet.store.associations import Ending, Sender
from medaet.store.tables import AssociationOutcome


@dataclass(slots=True)
class _Open:
    """One association.

    Attributes:
        is_answering: From the start of a C-STORE until its response is out.
        is_owed: When the SCP stopped, a C-STORE had begun to arrive; that one will still be stored.
    """

    conversation: Conversation
    is_answering: bool = False
    is_owed: bool = False


class Conversations:
    """All of them; safe to use from the threads of the associations.

    Args:
        on_end: Called once for each conversation that ends, with its sender and how it ended.
    """

    def __init__(self, on_end: Callable[[Sender, Ending], None]) -> None:
        self._on_end = on_end
        self._open: dict[Association, _Open] = {}
        self._changed = threading.Condition()
        self._is_stopping = False

    @property
    def is_stopping(self) -> bool:
        """Whether nothing new is taken."""
        return self._is_stopping

    def begin(self, association: Association, conversation: Conversation) -> None:
        """Add a conversation."""
        with self._changed:
            self._open[association] = _Open(conversation)

    def of(self, association: Association) -> Conversation:
        """Return the conversation of an open association."""
        return self._open[association].conversation

    def begin_answer(self, association: Association) -> bool:
        """Note that a C-STORE has arrived, and say whether it may still be stored."""
        with self._changed:
            one = self._open[association]
            may = one.is_owed or not self._is_stopping
            one.is_answering, one.is_owed = True, False
            return may

    def end_answer(self, association: Association) -> None:
        """Note that a response is out."""
        one = self._open.get(association)
        if one is not None and one.is_answering:
            with self._changed:
                one.is_answering = False
                self._changed.notify_all()

    def stop(self) -> None:
        """Take nothing new, except the C-STOREs that have begun to arrive."""
        with self._changed:
            self._is_stopping = True
            for association, one in self._open.items():
                dimse = association.dimse
                one.is_owed = dimse.message is not None or not dimse.msg_queue.empty()

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
            one = self._open.pop(association, None)
            self._changed.notify_all()
        if one is not None:
            outcome = AssociationOutcome.RELEASED if is_released else AssociationOutcome.ABORTED
            one.conversation.tell_end(None if is_released else "the peer or the network ended it")
            self._on_end(one.conversation.sender, one.conversation.ending(outcome))

    def _is_quiet(self) -> bool:
        return not any(one.is_answering or one.is_owed for one in self._open.values())
