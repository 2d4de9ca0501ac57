"""The fuzz target of the receiver: any bytes, from the association request on, and any data set."""

import contextlib
import socket
from collections.abc import Sequence

from medaet.config.model import Listener
from medaet.dicom.intake import Intake, take_in
from medaet.errors import InstanceError
from medaet.network.admission import Admission, Seats
from medaet.network.association import Association, Service
from medaet.network.contexts import TRANSFER_SYNTAXES
from medaet.network.dimse import COMMAND, MESSAGE_ID, STATUS, decode_command
from medaet.network.pdu import ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, DATA_TF, HEADER, RELEASE_RP
from medaet.network.reception import Buffer
from medaet.network.wire import Wire
from medaet.store.associations import Ending, Sender

LARGEST_INPUT = 100_000
SYNTAXES = [str(syntax) for syntax in TRANSFER_SYNTAXES[:6]]
SUCCESS = 0x0000


class Shelf:
    """A sink in memory that counts what it promised to keep."""

    def __init__(self) -> None:
        self.kept = self.opened = self.closed = 0

    def congestion(self) -> str | None:
        """Have room."""
        return None

    def end(self, sender: Sender, ending: Ending) -> None:
        """Hear that it is over."""
        assert ending.stored == self.kept

    def open(self, start: bytes, transfer_syntax_uid: str) -> "Item":
        """Begin an instance."""
        self.opened += 1
        return Item(self, start, transfer_syntax_uid)


class Item:
    """One instance on its way to the shelf."""

    def __init__(self, shelf: Shelf, start: bytes, transfer_syntax_uid: str) -> None:
        self._shelf = shelf
        self._start = len(start)
        self._content = bytearray(start)
        self._syntax = transfer_syntax_uid
        self._is_open = True

    def write(self, pieces: Sequence[Buffer]) -> None:
        """Add bytes."""
        assert self._is_open
        for piece in pieces:
            self._content += piece

    def inspect(self) -> Intake:
        """Read what came."""
        content = bytes(self._content)
        return take_in(
            lambda offset, length: content[offset : offset + length],
            start=self._start,
            end=len(content),
            transfer_syntax_uid=self._syntax,
        )

    def keep(self, intake: Intake, sender: Sender) -> None:
        """Keep it."""
        assert intake.describe().sop_instance_uid == intake.ref.sop_instance_uid
        assert sender.address
        self._shelf.kept += 1
        self._close()

    def discard(self) -> None:
        """Forget it."""
        if self._is_open:
            self._close()

    def _close(self) -> None:
        assert self._is_open
        self._is_open = False
        self._shelf.closed += 1


def one_input(content: bytes) -> None:
    """Give one input to the receiver, and see that it keeps its rules."""
    if not content:
        return
    kind, rest = content[0], content[1:LARGEST_INPUT]
    if kind < 200:
        converse(rest)
    else:
        inspect(rest, SYNTAXES[kind % len(SYNTAXES)])


def converse(said: bytes) -> list[tuple[int, bytes]]:
    """Say something to an SCP, from the first byte of a connection to its last; return the PDUs it answered."""
    shelf = Shelf()
    listener = Listener(accept_unknown_peers=True, maximum_instance_bytes=1_000_000)
    service = Service(Admission(listener, [], Seats(1)), shelf, 1_000_000, idle_seconds=5)
    ours, theirs = socket.socketpair()
    with contextlib.closing(theirs):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            theirs.setsockopt(socket.SOL_SOCKET, option, 4 * LARGEST_INPUT)
            ours.setsockopt(socket.SOL_SOCKET, option, 4 * LARGEST_INPUT)
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        Association(Wire(ours, 5), "fuzz", service).run()
        answers = _pdus(theirs)
    successes = sum(_is_stored(body) for kind, body in answers if kind == DATA_TF)
    assert successes <= shelf.kept, "Success for what was not kept"
    assert shelf.opened == shelf.closed, "an instance was left half"
    assert service.admission.seats.take("fuzz"), "a seat was not given back"
    return answers


def inspect(data_set: bytes, transfer_syntax_uid: str) -> None:
    """Take in a data set."""
    with contextlib.suppress(InstanceError):
        intake = take_in(
            lambda offset, length: data_set[offset : offset + length],
            start=0,
            end=len(data_set),
            transfer_syntax_uid=transfer_syntax_uid,
        )
        intake.describe()
        if intake.pixel_offset is not None and intake.pixel_length is not None:
            assert intake.pixel_offset + intake.pixel_length <= len(data_set)


def _pdus(theirs: socket.socket) -> list[tuple[int, bytes]]:
    """Take apart what was answered; anything but whole PDUs of the kinds that an acceptor sends is an error."""
    content = b""
    theirs.settimeout(5)
    with contextlib.suppress(
        ConnectionResetError
    ):  # closed before everything that we said was read
        while part := theirs.recv(1 << 16):
            content += part
    found = []
    while content:
        kind, length = HEADER.unpack_from(content)
        assert kind in {ASSOCIATE_AC, ASSOCIATE_RJ, DATA_TF, RELEASE_RP, ABORT}
        assert len(content) >= HEADER.size + length
        found.append((kind, content[HEADER.size : HEADER.size + length]))
        content = content[HEADER.size + length :]
    return found


def _is_stored(body: bytes) -> bool:
    """Whether a response is the Success of a C-STORE."""
    assert body[5] & COMMAND
    command = decode_command(body[6:])
    assert 0x0120 in command.values
    assert MESSAGE_ID not in command.values
    return command.field == 0x8001 and command.number(STATUS) == SUCCESS
