"""Receivers for tests: engines with a sink that remembers, and peers that send to them."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE
from pynetdicom.association import Association

from medaet.config.model import Listener, Peer
from medaet.dicom.intake import Intake, take_in
from medaet.errors import PeerUnavailableError
from medaet.network.engine import Engine
from medaet.network.fallback import FallbackEngine
from medaet.network.part10 import file_header
from medaet.network.reception import Buffer, InstanceSink
from medaet.network.scu import SendOutcome, echo, send
from medaet.store.associations import Ending, Sender
from tests.peers import system_program

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
SCANNER = Peer(name="scanner", ae_title="SCANNER", host="127.0.0.1", port=104)

ENGINES: dict[str, type[Engine] | type[FallbackEngine]] = {
    "own": Engine,
    "pynetdicom": FallbackEngine,
}


@dataclass
class Disk:
    """A sink that remembers, fails as it is told to, or waits."""

    error: Exception | None = None
    shortage: str | None = None
    files: list[bytes] = field(default_factory=list, repr=False)
    intakes: list[Intake] = field(default_factory=list, repr=False)
    senders: list[Sender] = field(default_factory=list, repr=False)
    endings: list[Ending] = field(default_factory=list, repr=False)
    discarded: int = 0
    entered: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    def congestion(self) -> str | None:
        return self.shortage

    def end(self, sender: Sender, ending: Ending) -> None:
        self.endings.append(ending)

    def open(self, start: bytes, transfer_syntax_uid: str) -> "Page":
        return Page(self, bytearray(start), len(start), transfer_syntax_uid)


@dataclass
class Page:
    """One instance on its way to the disk."""

    disk: Disk
    content: bytearray
    start: int
    transfer_syntax_uid: str
    is_open: bool = True

    def write(self, pieces: Sequence[Buffer]) -> None:
        for piece in pieces:
            self.content += piece

    def inspect(self) -> Intake:
        content = bytes(self.content)
        return take_in(
            lambda offset, length: content[offset : offset + length],
            start=self.start,
            end=len(content),
            transfer_syntax_uid=self.transfer_syntax_uid,
        )

    def keep(self, intake: Intake, sender: Sender) -> None:
        self.disk.entered.set()
        assert self.disk.go_on.wait(20)
        if self.disk.error is not None:
            raise self.disk.error
        self.is_open = False
        self.disk.intakes.append(intake)
        self.disk.files.append(bytes(self.content))
        self.disk.senders.append(sender)

    def discard(self) -> None:
        self.disk.discarded += self.is_open
        self.is_open = False


Listening = Callable[..., contextlib.AbstractContextManager[Peer]]


@contextlib.contextmanager
def listening(engine: str, sink: InstanceSink, listener: Listener | None = None) -> Iterator[Peer]:
    """Run an engine on a free port; yield it as a peer of whoever sends."""
    rules = listener or Listener()
    scp = ENGINES[engine](
        rules.model_copy(update={"host": "127.0.0.1", "port": 0}), [SCANNER], sink
    )
    scp.start()
    try:
        yield Peer(name="medaet", ae_title=rules.ae_title, host="127.0.0.1", port=scp.ports[0])
    finally:
        scp.stop(drain_seconds=5)


def sample(name: str = "CT_small.dcm") -> Path:
    """Return one of pydicom's test files."""
    found = get_testdata_file(name)
    assert isinstance(found, str)
    return Path(found)


def data_set(content: bytes) -> bytes:
    """Return everything after the file meta information, whose group length is its first element."""
    return content[144 + int.from_bytes(content[140:144], "little") :]


def sent(peer: Peer, *paths: Path, calling_ae_title: str = "SCANNER") -> list[SendOutcome]:
    """Send files in one association."""
    return list(send(peer, calling_ae_title, paths))


def statuses(peer: Peer, *paths: Path) -> list[int | None]:
    """Send files in one association; return what was answered."""
    return [outcome.status for outcome in sent(peer, *paths)]


def is_answered(peer: Peer, calling_ae_title: str = "SCANNER") -> bool:
    """Whether a C-ECHO succeeds."""
    try:
        echo(peer, calling_ae_title)
    except PeerUnavailableError:
        return False
    return True


def associated(peer: Peer, *sop_classes: str, calling_ae_title: str = "SCANNER") -> Association:
    """Open an association with pynetdicom's SCU."""
    entity = AE(ae_title=calling_ae_title)
    for sop_class in sop_classes or (CT,):
        entity.add_requested_context(sop_class, EXPLICIT)
    return entity.associate(peer.host, peer.port, ae_title=peer.ae_title)


def dcmtk(program: str, peer: Peer, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of dcmtk's SCUs against a peer."""
    titles = ["-aet", "SCANNER", "-aec", peer.ae_title]
    command = [system_program(program), *titles, peer.host, str(peer.port), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def instance(folder: Path, content: bytes, *, uid: str = "1.2.3", sop_class: str = CT) -> Path:
    """Write a file whose meta information promises what its data set may not keep."""
    path = folder / f"{uid}.dcm"
    start = file_header(sop_class_uid=sop_class, sop_instance_uid=uid, transfer_syntax_uid=EXPLICIT)
    path.write_bytes(start + content)
    return path


def changed(folder: Path, name: str = "CT_small.dcm", **values: str) -> Path:
    """Write a copy of a sample with other values."""
    found = dcmread(sample(name))
    for keyword, value in values.items():
        setattr(found, keyword, value)
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    path = folder / f"{found.SOPInstanceUID}.dcm"
    found.save_as(path)
    return path


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until something is true."""
    waiting = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        waiting.wait(0.02)
