"""Sockets of associations: they acknowledge at once, send at once, and limit what a peer may cost."""

import contextlib
import errno
import socket
import time

from pynetdicom.transport import T_CONNECT, AssociationSocket

LONGEST_PDU_BYTES = 1 << 20
"""Room for any association request; honest peers hold data PDUs to the length we announce."""

NETWORK_SECONDS = 60.0
"""For how long a peer may say nothing, and how long one PDU may take."""


class PeerSocket(AssociationSocket):
    """A socket that gives each PDU a length and a time to arrive in.

    With Nagle's algorithm at the sender, an acknowledgement delayed by 40 ms delays every instance by as much.
    """

    def prepare(self) -> None:
        """Set what a connected socket needs."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.socket.settimeout(NETWORK_SECONDS)

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect, and prepare the socket if that worked."""
        super().connect(primitive)
        if self.socket is not None:
            self.prepare()

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly so many bytes, or fewer when the peer closes the connection.

        Raises:
            OSError: the PDU is too long, or did not arrive in time; pynetdicom then ends the association.
        """
        peer = self.socket
        if peer is None:
            raise OSError(errno.ENOTCONN, "the connection is closed")
        if nr_bytes > LONGEST_PDU_BYTES:
            raise OSError(errno.EMSGSIZE, f"a PDU of {nr_bytes} bytes is announced")
        allowed = NETWORK_SECONDS if self.assoc.is_established else self.assoc.acse_timeout
        deadline = time.monotonic() + allowed
        content = bytearray(nr_bytes)
        filled = 0
        with memoryview(content) as view:
            while filled < nr_bytes:
                # Linux falls back to delayed acknowledgements by itself, so this is said each time.
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                peer.settimeout(max(deadline - time.monotonic(), 0.001))
                received = peer.recv_into(view[filled:])
                if not received:
                    break
                filled += received
        peer.settimeout(NETWORK_SECONDS)
        return content if filled == nr_bytes else content[:filled]

    def _shutdown_socket(self) -> None:
        """Close the socket even when there is no connection to shut down."""
        if self.socket is None:
            return
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
