"""The bytes of one connection: PDUs out of a bounded buffer, and a limit on what a peer may cost in memory and time."""

import contextlib
import mmap
import socket
import ssl
import time
from collections.abc import Iterator
from typing import NamedTuple

from medaet.network.dimse import COMMAND, LAST, PDV_HEADER
from medaet.network.pdu import (
    ABORT,
    DATA_TF,
    HEADER,
    RELEASE_RQ,
    UNEXPECTED_PDU,
    UNRECOGNISED_PDU,
    ProtocolError,
)
from medaet.network.tls import fingerprint

BUFFER_BYTES = 256 * 1024
LONGEST_PDU_BYTES = 1 << 20
"""Room for any association request; honest peers hold data PDUs to the length we announce."""

CHUNK_BYTES = 16 * 1024
SLOWEST_BYTES_A_SECOND = 1024
RATE_SECONDS = 60.0
"""A message that arrives more slowly than that, over that time, is held to be an attempt to keep us busy."""

LINGER_SECONDS, LINGER_BYTES = 2.0, 1 << 20
_QUICK_ACKNOWLEDGEMENT: int = getattr(socket, "TCP_QUICKACK", -1)


class ConnectionEndedError(Exception):
    """The association is over, and not by a release.

    Attributes:
        is_to_be_told: Whether the peer may still be there, and does not know.
    """

    def __init__(self, why: str, *, is_to_be_told: bool = False) -> None:
        super().__init__(why)
        self.is_to_be_told = is_to_be_told


class Fragment(NamedTuple):
    """A part of a message, as much of a presentation data value as has arrived (PS3.8 §E.2).

    Attributes:
        is_command: Of the command set; if not, of the data set.
        is_last: Whether the command set, or the data set, ends with it.
        content: Valid until the next batch of fragments is asked for.
    """

    context_id: int
    is_command: bool
    is_last: bool
    content: memoryview


class Wire:
    """One connection; it is used by one thread, except for `interrupt`.

    Args:
        connection: Connected; it is closed by `close`.
        idle_seconds: How long the peer may say nothing, or take to read what we say.
    """

    def __init__(self, connection: socket.socket, idle_seconds: float) -> None:
        self._connection = connection
        self._idle_seconds = idle_seconds
        self._pdu_left = self._value_left = 0
        self._context_id = self._control = 0
        self._measured_from: float | None = None
        self._measured_bytes = 0

    def secure(self, context: ssl.SSLContext, seconds: float) -> str | None:
        """Speak TLS from now on; return the SHA-256 of the peer's certificate, None when it showed none.

        Raises:
            ConnectionEndedError: the peer speaks no TLS, not the one that is wanted, or not in time.
        """
        try:
            secure = context.wrap_socket(
                self._connection, server_side=True, do_handshake_on_connect=False
            )
            self._connection = secure  # now, so that it can be cut while hands are shaken
            secure.settimeout(seconds)
            secure.do_handshake()
        except OSError as error:
            why = getattr(error, "reason", None) or error
            raise ConnectionEndedError(f"no TLS: {why}") from error
        return fingerprint(secure)

    def read_pdu(self, seconds: float) -> tuple[int, bytes]:
        """Read one PDU of association control.

        Args:
            seconds: Until its last byte is there.

        Returns:
            Its type, and what follows its header.

        Raises:
            ProtocolError: it is too long; nothing of it has been read then.
            ConnectionEndedError: it ends early, or did not arrive in time.
        """
        deadline = time.monotonic() + seconds
        kind, length = HEADER.unpack(self._exactly(HEADER.size, deadline))
        if length > LONGEST_PDU_BYTES:
            raise ProtocolError(f"a PDU of {length} bytes is announced")
        return kind, self._exactly(length, deadline)

    def fragments(self) -> Iterator[list[Fragment]]:
        """Yield what arrives of P-DATA-TF PDUs, until the peer asks for release.

        Raises:
            ProtocolError: the peer breaks the rules of the upper layer.
            ConnectionEndedError: the association is over.
        """
        self._connection.settimeout(self._idle_seconds)
        view = memoryview(mmap.mmap(-1, BUFFER_BYTES))  # pages that are not used are not there
        filled = 0
        while True:
            filled += self._receive_into(view[filled:])
            batch: list[Fragment] = []
            try:
                at, is_released = self._parse(view, filled, batch)
            except (ProtocolError, ConnectionEndedError):
                yield batch  # what came before is answered first
                raise
            yield batch
            if is_released:
                return
            view[: filled - at] = bytes(view[at:filled])
            filled -= at

    def begin_message(self) -> None:
        """Measure from now on how fast the peer sends."""
        self._measured_from, self._measured_bytes = time.monotonic(), 0

    def end_message(self) -> None:
        """Let the peer take its time, within the idle time."""
        self._measured_from = None

    def send(self, content: bytes) -> None:
        """Send in one piece: with Nagle's algorithm on either side, two small ones can cost 40 ms.

        Raises:
            ConnectionEndedError: the peer is gone, or does not read.
        """
        try:
            self._connection.settimeout(self._idle_seconds)
            self._connection.sendall(content)
        except OSError as error:
            raise _lost(error, "the peer does not read") from error

    def interrupt(self) -> None:
        """Make a thread that waits for the peer see the end of the connection."""
        with contextlib.suppress(OSError):  # not the method of a TLS socket, which forgets its keys
            socket.socket.shutdown(self._connection, socket.SHUT_RD)

    def cut(self) -> None:
        """End the connection for a thread that waits for it, both ways."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def linger(self) -> None:
        """Read on until the peer closes, for a moment: closing at once could destroy what was sent last."""
        deadline, heard = time.monotonic() + LINGER_SECONDS, 0
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_WR)
            while heard < LINGER_BYTES and (left := deadline - time.monotonic()) > 0:
                self._connection.settimeout(left)
                part = self._connection.recv(CHUNK_BYTES)
                if not part:
                    return
                heard += len(part)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _parse(self, view: memoryview, filled: int, batch: list[Fragment]) -> tuple[int, bool]:
        """Take apart what is there; return how much was, and whether the peer asks for release."""
        at = 0
        while True:
            if self._value_left:
                size = min(self._value_left, filled - at)
                if not size:
                    return at, False
                self._value_left -= size
                self._append(batch, view[at : at + size])
                at += size
            elif filled - at < HEADER.size:
                return at, False
            elif self._pdu_left:
                self._enter_value(view, at)
                at += PDV_HEADER.size
                if not self._value_left:
                    self._append(batch, view[at:at])
            elif self._enter_pdu(view, at):
                return at, True
            else:
                at += HEADER.size

    def _append(self, batch: list[Fragment], content: memoryview) -> None:
        control = self._control
        is_last = bool(control & LAST) and not self._value_left
        batch.append(Fragment(self._context_id, bool(control & COMMAND), is_last, content))

    def _enter_value(self, view: memoryview, at: int) -> None:
        """Read the header of a presentation data value (PS3.8 §9.3.5.1)."""
        length, self._context_id, self._control = PDV_HEADER.unpack_from(view, at)
        if length < 2 or length + 4 > self._pdu_left:
            raise ProtocolError("a presentation data value does not fit its PDU")
        self._pdu_left -= length + 4
        self._value_left = length - 2
        if 0 < self._pdu_left < PDV_HEADER.size:
            raise ProtocolError("a PDU ends within the header of a presentation data value")

    def _enter_pdu(self, view: memoryview, at: int) -> bool:
        """Read the header of a PDU; return whether it asks for release."""
        kind, length = HEADER.unpack_from(view, at)
        if kind == DATA_TF:
            if not PDV_HEADER.size <= length <= LONGEST_PDU_BYTES:
                raise ProtocolError(f"a PDU of {length} bytes is announced")
            self._pdu_left = length
            return False
        if kind == ABORT:
            raise ConnectionEndedError("the peer aborted")
        if kind == RELEASE_RQ:
            return True
        reason = UNEXPECTED_PDU if 1 <= kind <= ABORT else UNRECOGNISED_PDU
        raise ProtocolError(f"a PDU of type {kind:02X} is not expected here", reason)

    def _receive_into(self, view: memoryview) -> int:
        try:
            received = self._connection.recv_into(view)
        except TimeoutError as error:
            raise _slow(f"nothing was heard for {self._idle_seconds:g} s") from error
        except OSError as error:
            raise _lost(error, "the connection broke") from error
        if not received:
            raise ConnectionEndedError("the peer closed the connection")
        self._acknowledge()
        if self._measured_from is not None:
            self._measure(received)
        return received

    def _measure(self, received: int) -> None:
        self._measured_bytes += received
        assert self._measured_from is not None
        now = time.monotonic()
        seconds = now - self._measured_from
        if seconds < RATE_SECONDS:
            return
        if self._measured_bytes < seconds * SLOWEST_BYTES_A_SECOND:
            raise _slow(f"{self._measured_bytes} bytes arrived in {seconds:.0f} s")
        self._measured_from, self._measured_bytes = now, 0

    def _acknowledge(self) -> None:
        """Acknowledge at once: a sender with Nagle's algorithm waits for it, up to 40 ms an instance.

        Linux falls back to delayed acknowledgements by itself, so this is said after each read.
        """
        try:
            self._connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGEMENT, 1)
        except OSError:  # the connection is over, or the system has no such option
            return

    def _exactly(self, count: int, deadline: float) -> bytes:
        """Read so many bytes; memory grows with what has arrived, not with what was announced."""
        content = bytearray()
        while len(content) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _slow("the association request did not arrive in time")
            self._connection.settimeout(left)
            try:
                part = self._connection.recv(min(count - len(content), CHUNK_BYTES))
            except TimeoutError as error:
                raise _slow("the association request did not arrive in time") from error
            except OSError as error:
                raise _lost(error, "the connection broke") from error
            if not part:
                raise ConnectionEndedError("the peer closed the connection")
            content += part
        self._acknowledge()
        return bytes(content)


def _slow(why: str) -> ConnectionEndedError:
    return ConnectionEndedError(why, is_to_be_told=True)


def _lost(error: OSError, otherwise: str) -> ConnectionEndedError:
    return ConnectionEndedError(error.strerror or otherwise)
