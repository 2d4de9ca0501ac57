"""P-01 and P-08 to P-10: any data set is answered, and stored as it came or not at all, and nowhere else."""

import contextlib
import random
import time
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from sqlalchemy import select

from medaet.clock import SystemClock
from medaet.config.model import Listener, Peer
from medaet.network.contexts import TRANSFER_SYNTAXES, is_stored
from medaet.network.engine import Engine
from medaet.network.spooling import SpoolSink
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.tables import Base, InstanceRow
from tests.faults.senders import CT, EXPLICIT, Association, Instances

pytestmark = pytest.mark.timeout(280)

SUCCESS, FAILURES = 0x0000, {0xA900, 0xC000}
REFUSED = [
    *("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm"),  # without Study Instance UID
    "MR_truncated.dcm",
    *("SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm"),  # the same
    "badVR.dcm",  # Number of Frames is none
    "rtplan_truncated.dcm",
]
LONGEST_SECONDS = 5
"""Far more than an answer takes; a receiver that hangs takes longer."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A test file of pydicom, as a C-STORE would bring it."""

    path: Path
    sop_class_uid: str
    uid: str
    syntax: str
    content: bytes


def _sample(path: Path) -> Sample | None:
    """Read a file; None when no presentation context could bring it."""
    content = path.read_bytes()
    if content[128:132] != b"DICM" or content[136:138] != b"UL":
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meta = read_file_meta_info(path)
        uid = str(dcmread(path, stop_before_pixels=True, force=True).get("SOPInstanceUID", ""))
    syntax = str(meta.get("TransferSyntaxUID", ""))
    sop_class_uid = str(meta.get("MediaStorageSOPClassUID", ""))
    if not uid or not is_stored(sop_class_uid) or syntax not in map(str, TRANSFER_SYNTAXES):
        return None
    behind = 144 + int.from_bytes(content[140:144], "little")
    return Sample(path, sop_class_uid, uid, syntax, content[behind:])


SAMPLES = [
    sample
    for path in sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm"))
    if (sample := _sample(path)) is not None
]


@dataclass(frozen=True, slots=True)
class Site:
    """A receiver with its spool."""

    peer: Peer
    root: Path
    database: Database

    def stored(self) -> dict[str, bytes]:
        """Return the newest data set under each UID."""
        with self.database.read() as session:
            rows = session.execute(
                select(InstanceRow.sop_instance_uid, InstanceRow.path).order_by(InstanceRow.id)
            ).all()
        contents = {uid: (self.root / "spool" / path).read_bytes() for uid, path in rows}
        return {
            uid: content[144 + int.from_bytes(content[140:144], "little") :]
            for uid, content in contents.items()
        }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    root = tmp_path / "site"
    root.mkdir()
    with contextlib.closing(Database(f"sqlite:///{root}/medaet.db", durable=False)) as database:
        Base.metadata.create_all(database.engine)
        sink = SpoolSink(Spool(root / "spool", durable=False), database, SystemClock())
        engine = Engine(Listener(host="127.0.0.1", port=0, accept_unknown_peers=True), [], sink)
        engine.start()
        peer = Peer(name="m", ae_title="MEDAET", host="127.0.0.1", port=engine.ports[0])
        try:
            yield Site(peer, root, database)
        finally:
            engine.stop(5)


def _answered(association: Association, uid: str, content: bytes) -> int:
    started = time.monotonic()
    status = association.store(uid, content)
    assert time.monotonic() - started < LONGEST_SECONDS
    return status


def test_corpus_is_answered_and_stored_bit_identical(site: Site) -> None:
    refused = []
    for sample in SAMPLES:
        with contextlib.closing(
            Association(site.peer, sop_class=sample.sop_class_uid, syntax=sample.syntax)
        ) as association:
            status = _answered(association, sample.uid, sample.content)
            association.release()
        if status == SUCCESS:
            assert site.stored()[sample.uid] == sample.content
        else:
            assert status in FAILURES
            refused.append(sample.path.name)
    assert sorted(refused) == REFUSED
    assert len(SAMPLES) > 50


@pytest.mark.parametrize("seed", range(3))
def test_damaged_corpus_is_answered_and_never_accepted_cut_short(site: Site, seed: int) -> None:
    chance = random.Random(seed)
    for sample in chance.sample(SAMPLES, 12):
        with contextlib.closing(
            Association(site.peer, sop_class=sample.sop_class_uid, syntax=sample.syntax)
        ) as association:
            for _ in range(6):
                cut = sample.content[: chance.randrange(len(sample.content))]
                if _answered(association, sample.uid, cut) == SUCCESS:
                    assert _is_whole(site.stored()[sample.uid], cut)
            for _ in range(6):
                flipped = bytearray(sample.content)
                for _ in range(chance.randrange(1, 20)):
                    flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
                if _answered(association, sample.uid, bytes(flipped)) == SUCCESS:
                    assert site.stored()[sample.uid] == bytes(flipped)
            association.release()


def _is_whole(stored: bytes, cut: bytes) -> bool:
    """Whether what was accepted of a cut data set is what came, and holds no pixels that end early."""
    return stored == cut and b"\xe0\x7f\x10\x00" not in cut


UIDS = (b"\x20\x00\x0d\x00UI", b"\x20\x00\x0e\x00UI", b"\x08\x00\x18\x00UI")
UID_FORMS = (
    *("../../x", "/etc/passwd", "1.2.3/../4", "1.2.3\\4", "1.2.3\0/../y", "%2e%2e%2f", "a.b.c"),
    *("1.2.\u0663", "1..2", ".1", "1.", "1.2.3;id", "$(id)", "`id`", "1.2.3|x", "1.2.3\n4"),
    *("", " ", "9" * 65, "9" * 200, "%s%n", "{0}"),
)


@pytest.mark.parametrize("form", UID_FORMS)
def test_uid_that_is_none_is_refused_wherever_it_stands(site: Site, form: str) -> None:
    raw = form.encode("utf-8")
    good, content = Instances().next(1)
    with contextlib.closing(Association(site.peer)) as association:
        statuses = [_answered(association, form, content)]
        statuses += [
            _answered(association, good, _replaced(content, element, raw)) for element in UIDS
        ]
        assert all(status in FAILURES for status in statuses), statuses
        assert _answered(association, good, content) == SUCCESS
        association.release()
    assert {path.relative_to(site.root).parts[0] for path in site.root.rglob("*")} <= {
        *("spool", "medaet.db", "medaet.db-wal", "medaet.db-shm", "medaet.db.writer")
    }
    assert [path.name for path in site.root.parent.iterdir()] == ["site"]


def _replaced(content: bytes, element: bytes, value: bytes) -> bytes:
    """Give an element of VR UI another value."""
    at = content.index(element)
    length = int.from_bytes(content[at + 6 : at + 8], "little")
    value += b"\0" * (len(value) % 2)
    head = content[:at] + element + len(value).to_bytes(2, "little") + value
    return head + content[at + 8 + length :]


@pytest.mark.parametrize("depth", [10, 100, 3000, 100_000])
@pytest.mark.parametrize("length", ["undefined", "inside-unknown"])
def test_nested_sequences_are_answered_at_any_depth(site: Site, depth: int, length: str) -> None:
    uid, content = Instances(side=4).next(1)
    vr = b"SQ" if length == "undefined" else b"UN"
    begin = b"\x09\x00\x10\x10" + vr + b"\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    inner = b"\x09\x00\x10\x10" + b"\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    at = content.index(b"\x10\x00\x10\x00PN")
    nested = begin + (begin if vr == b"SQ" else inner) * (depth - 1) + end * depth
    with contextlib.closing(Association(site.peer)) as association:
        status = _answered(association, uid, content[:at] + nested + content[at:])
        assert status == (SUCCESS if depth <= 32 else 0xC000)
        assert _answered(association, uid, content) == SUCCESS
        association.release()


@pytest.mark.parametrize("level", range(10))
def test_deflated_instance_of_any_level_is_stored_as_it_came(site: Site, level: int) -> None:
    uid, content = Instances().next(1)
    squeezer = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    deflated = squeezer.compress(content) + squeezer.flush()
    with contextlib.closing(Association(site.peer, syntax="1.2.840.10008.1.2.1.99")) as association:
        assert _answered(association, uid, deflated) == SUCCESS
        assert _answered(association, uid, deflated[:-20]) in FAILURES
        association.release()
    assert site.stored()[uid] == deflated


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(
            b"\x28\x00\x10\x00US\x02\x00\xff\xff\x28\x00\x11\x00US\x02\x00\xff\xff", id="rows"
        ),
        pytest.param(b"\x28\x00\x08\x00IS\x0a\x002147483647", id="frames"),
        pytest.param(b"\x28\x00\x08\x00IS\x04\x00 abc", id="frames-that-are-none"),
        pytest.param(b"\x10\x00\x20\x00LO\xff\xff" + bytes(100), id="value-longer-than-the-rest"),
        pytest.param(b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3, id="items-of-nothing"),
        pytest.param(b"\xff\xff\xff\xffZZ\xff\xff\xff\xff\xff\xff", id="no-such-vr"),
    ],
)
def test_length_that_lies_is_refused(site: Site, tail: bytes) -> None:
    uid, content = Instances().next(1)
    at = content.index(b"\xe0\x7f\x10\x00")
    with contextlib.closing(Association(site.peer)) as association:
        assert _answered(association, uid, content[:at] + tail + content[at:]) in FAILURES
        assert _answered(association, uid, content) == SUCCESS
        association.release()


def test_file_begins_with_a_preamble_of_zeros_whatever_comes(site: Site) -> None:
    """P-14: what a peer sends never stands where an operating system looks for a program."""
    uid, content = Instances().next(1)
    with contextlib.closing(Association(site.peer, sop_class=CT, syntax=EXPLICIT)) as association:
        assert _answered(association, uid, content) == SUCCESS
        association.release()
    [path] = (site.root / "spool" / "instances").rglob("*.dcm")
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
