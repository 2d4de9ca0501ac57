"""Who may associate with the storage SCP, from where, and how many at once."""

import hashlib
import mmap
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

import structlog

from medaet.config.model import Listener, Peer

log = structlog.get_logger()

BYTES_A_SEAT = 8
PERMANENT, TRANSIENT = 1, 2
"""Results of an A-ASSOCIATE-RJ (PS3.8 §9.3.4)."""


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


STOPPING = Refusal(TRANSIENT, 3, 1, "the daemon is stopping", "send again once it runs")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for an association, as far as the network tells.

    Attributes:
        certificate_sha256: Of the certificate it showed, in hexadecimal; None without TLS or certificate.
    """

    calling_ae_title: str
    called_ae_title: str
    address: str
    certificate_sha256: str | None = None


class Seats:
    """Seats for associations, shared by all the processes on one listening socket.

    Each process writes its own part of the table only, so that none can be left locked by one that was killed; two
    that take the last seat in the same moment may both be refused.

    Args:
        maximum: How many associations there may be altogether.
        per_address: How many of them from one address.
        processes: How many processes share the table; it must be made before they fork.
    """

    def __init__(self, maximum: int, *, per_address: int | None = None, processes: int = 1) -> None:
        self.maximum = maximum
        self.per_address = per_address or maximum
        table = mmap.mmap(-1, BYTES_A_SEAT * maximum * processes)
        self._table = memoryview(table).cast("Q")
        self._lock = threading.Lock()
        self.sit(0)

    def sit(self, process: int) -> None:
        """Say which of the processes this is, and that it has no association yet."""
        self._own = range(process * self.maximum, (process + 1) * self.maximum)
        self.clear(process)

    def clear(self, process: int) -> None:
        """Free the seats of a process that has ended."""
        for seat in range(process * self.maximum, (process + 1) * self.maximum):
            self._table[seat] = 0

    def take(self, address: str) -> bool:
        """Take a seat for an association from an address, if there is one."""
        mark = _mark(address)
        with self._lock:
            seat = next((one for one in self._own if not self._table[one]), None)
            if seat is None:
                return False
            self._table[seat] = mark
            taken = self._table.tolist()
            if (
                len(taken) - taken.count(0) <= self.maximum
                and taken.count(mark) <= self.per_address
            ):
                return True
            self._table[seat] = 0
            return False

    def give_back(self, address: str) -> None:
        """Give a seat back."""
        mark = _mark(address)
        with self._lock:
            seat = next((one for one in self._own if self._table[one] == mark), None)
            if seat is not None:
                self._table[seat] = 0


class Admission:
    """The rules by which an association request is refused or let in.

    Args:
        listener: Our AE titles, and whether strangers may call.
        peers: Who may call, from where and with which certificate.
        seats: For how many there is room.
        congestion: Says why nothing can be taken just now; None when something can.
    """

    def __init__(
        self,
        listener: Listener,
        peers: Iterable[Peer],
        seats: Seats,
        congestion: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._called = listener.called_ae_titles
        self._open = listener.accept_unknown_peers
        self._peers: dict[str, list[Peer]] = {}
        for peer in peers:
            self._peers.setdefault(peer.ae_title, []).append(peer)
        self.seats = seats
        self._congestion = congestion

    def admit(self, caller: Caller) -> Refusal | None:
        """Let an association in, or say why not; whoever is let in must leave again."""
        if caller.called_ae_title not in self._called:
            return Refusal(
                PERMANENT,
                1,
                7,
                "called AE title not recognised",
                f"call {' or '.join(self._called)}, or add [[listener.aliases]] "
                f'ae_title = "{caller.called_ae_title}" to medaet.toml',
            )
        return self._stranger(caller) or self._no_room(caller)

    def leave(self, caller: Caller) -> None:
        """Give back the seat of an association that has ended."""
        self.seats.give_back(caller.address)

    def _stranger(self, caller: Caller) -> Refusal | None:
        """Refuse whoever is not configured, calls from elsewhere, or shows another certificate."""
        peers = self._peers.get(caller.calling_ae_title, [])
        if not peers:
            if self._open and caller.calling_ae_title.isprintable():
                return None
            return _unknown(
                "calling AE title not recognised",
                f'add [[peers]] ae_title = "{caller.calling_ae_title}" with its name, host and port to medaet.toml, '
                "or set listener.accept_unknown_peers = true in a trusted network",
            )
        near = [
            one for one in peers if not one.addresses or _lies_in(caller.address, one.addresses)
        ]
        if not near:
            return _unknown(
                "the calling AE title is not allowed from this address",
                f"add {caller.address} to the addresses of peer {peers[0].name}, if it is that one",
            )
        wanted = {one.certificate_sha256 for one in near}
        if not wanted & {None, caller.certificate_sha256}:
            return _unknown(
                "the calling AE title is not allowed without its certificate",
                f"send with the certificate of peer {near[0].name}, or change its certificate_sha256",
            )
        return None

    def _no_room(self, caller: Caller) -> Refusal | None:
        congestion = self._congestion()
        if congestion is not None:
            return Refusal(TRANSIENT, 3, 1, f"temporary congestion: {congestion}", "make room")
        if self.seats.take(caller.address):
            return None
        return Refusal(
            TRANSIENT,
            3,
            2,
            "local limit exceeded",
            f"wait, or raise listener.maximum_associations above {self.seats.maximum}, "
            f"or listener.maximum_associations_per_address above {self.seats.per_address}",
        )


def _unknown(reason: str, remedy: str) -> Refusal:
    return Refusal(PERMANENT, 1, 3, reason, remedy)


def _lies_in(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in networks)


def _mark(address: str) -> int:
    """Return a number for an address that is not 0."""
    digest = hashlib.blake2b(address.encode(), digest_size=BYTES_A_SEAT).digest()
    return int.from_bytes(digest, "little") | 1
