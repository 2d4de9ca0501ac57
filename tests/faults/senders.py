"""Senders that keep a log of what was acknowledged, for tests that take the ground away from under the receiver."""

import contextlib
import hashlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from medaet.config.model import Peer
from medaet.network import dimse
from medaet.network.dimse import LAST, PDV_HEADER, decode_command, encode_command
from medaet.network.pdu import ASSOCIATE_AC, DATA_TF, HEADER

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
RELEASE = HEADER.pack(5, 4) + bytes(4)
PDU_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Sent:
    """An instance that was answered.

    Attributes:
        digest: SHA-256 of its data set.
        at: Monotonic seconds at which the answer was read.
    """

    uid: str
    digest: str
    status: int
    at: float


class Instances:
    """Numbered instances of a size, of one series for each sender; no two have the same bytes."""

    def __init__(self, side: int = 128) -> None:
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._parts = _template(side).split(b"\xaa" * 20)

    def next(self, series: int) -> tuple[str, bytes]:
        """Return the next instance's UID and data set."""
        with self._lock:
            number = next(self._numbers)
        uid = f"1.2.{number + 10**15:016d}"
        of_series = f"1.3.{series + 10**15:016d}"
        marks = (uid.encode(), of_series.encode(), b"%020d" % number)
        first, *others = self._parts
        return uid, first + b"".join(mark + part for mark, part in zip(marks, others, strict=True))


def _template(side: int) -> bytes:
    """Encode a CT instance with marks where its UID, its series' UID and the first pixels go."""
    dataset = Dataset()
    dataset.SOPClassUID = CT
    dataset.StudyInstanceUID, dataset.Modality = "1.2.3", "CT"
    dataset.PatientName, dataset.PatientID = "Canary^Yellow", "CANARY"
    dataset.Rows = dataset.Columns = side
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    noise = np.random.default_rng(1).integers(0, 256, side * side * 2, np.uint8).tobytes()
    mark = b"\xaa" * 20
    dataset.add_new("SOPInstanceUID", "UI", "1.2.3456789012345678")
    dataset.add_new("SeriesInstanceUID", "UI", "1.3.3456789012345678")
    dataset.add_new("PixelData", "OW", mark + noise[20:].replace(b"\xaa", b"\xab"))
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset)
    content = bytes(stream.getvalue())
    return content.replace(b"1.2.3456789012345678", mark).replace(b"1.3.3456789012345678", mark)


class Association:
    """An association of our own making, which can be left in any state."""

    def __init__(self, peer: Peer, *, sop_class: str = CT, syntax: str = EXPLICIT) -> None:
        self._sop_class = sop_class
        self._numbers = count(1)
        self.socket = socket.create_connection((peer.host, peer.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(request(peer.ae_title, [(sop_class, syntax)]))
        kind, _ = self.read_pdu()
        self.is_established = kind == ASSOCIATE_AC

    def store(self, uid: str, content: bytes) -> int:
        """Send one instance, and return the status of the answer."""
        self.socket.sendall(self.encoded(uid, content))
        return self.status()

    def encoded(self, uid: str, content: bytes) -> bytes:
        """Encode a C-STORE request with its data set."""
        command = encode_command(
            1,
            [
                (dimse.AFFECTED_SOP_CLASS_UID, self._sop_class),
                (dimse.COMMAND_FIELD, dimse.C_STORE_RQ),
                (dimse.MESSAGE_ID, next(self._numbers) & 0xFFFF),
                (0x0700, 2),
                (dimse.DATA_SET_TYPE, 1),
                (dimse.AFFECTED_SOP_INSTANCE_UID, uid),
            ],
        )
        return command + data_pdus(content)

    def status(self) -> int:
        """Read a response."""
        kind, body = self.read_pdu()
        if kind != DATA_TF:
            raise ConnectionError(f"a PDU of type {kind} came instead of a response")
        return decode_command(body[6:]).number(dimse.STATUS)

    def read_pdu(self) -> tuple[int, bytes]:
        """Read whatever comes next."""
        kind, length = HEADER.unpack(self._exactly(HEADER.size))
        return kind, self._exactly(length)

    def release(self) -> None:
        """End the association as it should be."""
        self.socket.sendall(RELEASE)
        self.read_pdu()
        self.close()

    def close(self) -> None:
        """End the connection, whatever the peer thinks."""
        self.socket.close()

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            part = self.socket.recv(size - len(content))
            if not part:
                raise ConnectionError("the receiver is gone")
            content += part
        return content


def send(peer: Peer, instances: Instances, count: int, *, series: int = 1) -> list[tuple[str, int]]:
    """Send instances one after another as far as the receiver lives; return UID and status of each answer."""
    answered: list[tuple[str, int]] = []
    with contextlib.suppress(OSError), contextlib.closing(Association(peer)) as association:
        for _ in range(count):
            uid, content = instances.next(series)
            answered.append((uid, association.store(uid, content)))
        association.release()
    return answered


class Sender(threading.Thread):
    """Sends instance after instance until it is stopped, or the receiver is gone."""

    def __init__(self, peer: Peer, instances: Instances, series: int) -> None:
        super().__init__(daemon=True)
        self.log: list[Sent] = []
        self.is_stopped = False
        self._peer = peer
        self._instances = instances
        self._series = series

    def run(self) -> None:
        """Send."""
        try:
            association = Association(self._peer)
        except OSError:
            return
        try:
            while not self.is_stopped:
                uid, content = self._instances.next(self._series)
                status = association.store(uid, content)
                now = time.monotonic()
                self.log.append(Sent(uid, hashlib.sha256(content).hexdigest(), status, now))
            association.release()
        except OSError:
            return
        finally:
            association.close()


@dataclass
class Senders:
    """Several senders at once."""

    peer: Peer
    count: int = 6
    side: int = 128
    threads: list[Sender] = field(default_factory=list)

    def start(self, instances: Instances) -> None:
        """Let them begin."""
        self.threads = [Sender(self.peer, instances, n) for n in range(self.count)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> list[Sent]:
        """Let them end; return what was acknowledged with Success."""
        for thread in self.threads:
            thread.is_stopped = True
        for thread in self.threads:
            thread.join(40)
        return [one for thread in self.threads for one in thread.log if one.status == 0]

    def stored(self) -> int:
        """Count what was acknowledged so far."""
        return sum(len(thread.log) for thread in self.threads)


def request(called: str, proposals: list[tuple[str, str]], calling: str = "SCANNER") -> bytes:
    """Encode an A-ASSOCIATE-RQ with one transfer syntax a context."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(content)) + content

    items = item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, (abstract, syntax) in enumerate(proposals):
        inner = item(0x30, abstract.encode()) + item(0x40, syntax.encode())
        items += item(0x20, bytes((2 * number + 1, 0, 0, 0)) + inner)
    items += item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3"))
    titles = called.ljust(16).encode() + calling.ljust(16).encode()
    body = b"\0\1\0\0" + titles + bytes(32) + items
    return HEADER.pack(1, len(body)) + body


def data_pdus(content: bytes, context_id: int = 1) -> bytes:
    """Encode a data set as P-DATA-TF PDUs."""
    whole = b""
    for at in range(0, max(len(content), 1), PDU_BYTES):
        part = content[at : at + PDU_BYTES]
        last = LAST if at + PDU_BYTES >= len(content) else 0
        whole += HEADER.pack(DATA_TF, len(part) + 6) + PDV_HEADER.pack(
            len(part) + 2, context_id, last
        )
        whole += part
    return whole
