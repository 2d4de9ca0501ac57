"""Who may associate with the storage SCP, and how many at once."""

import mmap
import threading
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from medaet.config.model import Listener, Peer

log = structlog.get_logger()

BYTES_A_COUNT = 4


@dataclass(frozen=True, slots=True)
class Refusal:
    """An A-ASSOCIATE-RJ and its story (PS3.8 §9.3.4).

    Attributes:
        result: 1 rejected permanently, 2 rejected for now.
        source: 1 service user, 3 service provider (presentation).
        diagnostic: The reason, in the numbering of its source.
        reason: The same in words.
        remedy: What an administrator may do about it.
    """

    result: int
    source: int
    diagnostic: int
    reason: str
    remedy: str

    def tell(self, calling_ae_title: str, called_ae_title: str, address: str) -> None:
        """Log it, with what an administrator may do."""
        log.warning(
            "association.refused",
            calling_ae_title=calling_ae_title,
            called_ae_title=called_ae_title,
            address=address,
            reason=self.reason,
            remedy=self.remedy,
        )


STOPPING = Refusal(2, 3, 1, "the daemon is stopping", "send again once it runs")


class Places:
    """Counts open associations over all the processes that share one listening socket.

    Args:
        maximum: How many there may be altogether.
        processes: How many processes share the count; it must be made before they fork.
    """

    def __init__(self, maximum: int, *, processes: int = 1) -> None:
        self.maximum = maximum
        self._counts = memoryview(mmap.mmap(-1, BYTES_A_COUNT * processes)).cast("i")
        self._lock = threading.Lock()
        self._own = 0

    def sit(self, process: int) -> None:
        """Say which of the processes this is, and that it has no association yet."""
        self._own = process
        self._counts[process] = 0

    def clear(self, process: int) -> None:
        """Forget the associations of a process that has ended."""
        self._counts[process] = 0

    def take(self) -> bool:
        """Take a place if there is one.

        Each process writes its own count only, so none can be left locked by one that was killed; two that take the
        last place in the same moment may both be refused.
        """
        with self._lock:
            self._counts[self._own] += 1
            if sum(self._counts) <= self.maximum:
                return True
            self._counts[self._own] -= 1
            return False

    def give_back(self) -> None:
        """Give a place back."""
        with self._lock:
            self._counts[self._own] -= 1


class Admission:
    """The rules by which an association request is refused or let in."""

    def __init__(self, listener: Listener, peers: Iterable[Peer], places: Places) -> None:
        self._called = listener.called_ae_titles
        self._open = listener.accept_unknown_peers
        self._peers = frozenset(peer.ae_title for peer in peers)
        self._places = places

    def admit(self, *, calling_ae_title: str, called_ae_title: str) -> Refusal | None:
        """Let an association in, or say why not; whoever is let in must leave again."""
        if called_ae_title not in self._called:
            return Refusal(
                1,
                1,
                7,
                "called AE title not recognised",
                f"call {' or '.join(self._called)}, or add [[listener.aliases]] "
                f'ae_title = "{called_ae_title}" to medaet.toml',
            )
        if not self._open and calling_ae_title not in self._peers:
            return Refusal(
                1,
                1,
                3,
                "calling AE title not recognised",
                f'add [[peers]] ae_title = "{calling_ae_title}" with its name, host and port to medaet.toml, '
                "or set listener.accept_unknown_peers = true in a trusted network",
            )
        if not self._places.take():
            return Refusal(
                2,
                3,
                2,
                "local limit exceeded",
                f"wait, or raise listener.maximum_associations above {self._places.maximum}",
            )
        return None

    def leave(self) -> None:
        """Give back the place of an association that has ended."""
        self._places.give_back()
