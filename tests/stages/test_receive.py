"""The storage SCP against real peers: pynetdicom's SCU, and dcmtk's programs as they are shipped."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.misc import is_dicom
from pynetdicom import AE
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from sqlalchemy import func, select
from structlog.testing import capture_logs

from medaet.clock import SystemClock
from medaet.config.model import Alias, Config, Listener, Peer
from medaet.dicom.identity import InstanceHeader
from medaet.errors import (
    DatabaseUnavailableError,
    InstanceError,
    OutOfSpaceError,
    PeerUnavailableError,
)
from medaet.network.part10 import file_header
from medaet.network.scp import StorageSCP
from medaet.network.scu import SendOutcome, echo, send
from medaet.store import migrate
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.tables import InstanceRow, SeriesRow
from medaet.testing.phantom import write_series
from medaet_daemon.receive import SpoolSink
from tests.peers import system_program

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
SCANNER = Peer(name="scanner", ae_title="SCANNER", host="127.0.0.1", port=104)
PATIENT = "Canary^Yellow"

dcmtk = pytest.mark.interop


@dataclass
class Disk:
    """A sink that remembers, fails as it is told to, or waits."""

    error: Exception | None = None
    files: list[bytes] = field(default_factory=list)
    headers: list[InstanceHeader] = field(default_factory=list)
    titles: list[tuple[str, str]] = field(default_factory=list)
    entered: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    def store(
        self,
        header: InstanceHeader,
        content: Sequence[bytes | memoryview],
        *,
        calling_ae_title: str,
        called_ae_title: str,
    ) -> None:
        self.entered.set()
        assert self.go_on.wait(20)
        if self.error is not None:
            raise self.error
        self.headers.append(header)
        self.files.append(b"".join(content))
        self.titles.append((calling_ae_title, called_ae_title))


@contextlib.contextmanager
def _listening(disk: Disk | SpoolSink, listener: Listener | None = None) -> Iterator[Peer]:
    """Run an SCP on a free port; yield it as a peer of whoever sends."""
    rules = listener or Listener(host="127.0.0.1", port=0)
    scp = StorageSCP(rules.model_copy(update={"host": "127.0.0.1", "port": 0}), [SCANNER], disk)
    scp.start()
    try:
        yield Peer(name="medaet", ae_title=rules.ae_title, host="127.0.0.1", port=scp.port)
    finally:
        scp.stop(drain_seconds=5)


def _file(name: str = "CT_small.dcm") -> Path:
    found = get_testdata_file(name)
    assert isinstance(found, str)
    return Path(found)


def _data_set(content: bytes) -> bytes:
    """Everything after the file meta information, whose group length is its first element."""
    return content[144 + int.from_bytes(content[140:144], "little") :]


def _send(peer: Peer, *paths: Path, calling_ae_title: str = "SCANNER") -> list[SendOutcome]:
    return list(send(peer, calling_ae_title, paths))


def _dcmtk(program: str, peer: Peer, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [
        system_program(program),
        "-aet",
        "SCANNER",
        "-aec",
        peer.ae_title,
        peer.host,
        str(peer.port),
    ]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )


def _instance(folder: Path, data_set: bytes, *, uid: str = "1.2.3", sop_class: str = CT) -> Path:
    """Write a file whose meta information promises what its data set may not keep."""
    path = folder / f"{uid}.dcm"
    start = file_header(sop_class_uid=sop_class, sop_instance_uid=uid, transfer_syntax_uid=EXPLICIT)
    path.write_bytes(start + data_set)
    return path


def _changed(folder: Path, **values: str) -> Path:
    """Write a copy of an instance with other values."""
    changed = dcmread(_file())
    for keyword, value in values.items():
        setattr(changed, keyword, value)
    changed.file_meta.MediaStorageSOPClassUID = changed.SOPClassUID
    changed.file_meta.MediaStorageSOPInstanceUID = changed.SOPInstanceUID
    path = folder / f"{changed.SOPInstanceUID}.dcm"
    changed.save_as(path)
    return path


# --- what is stored ---


def test_instance_is_stored_with_its_data_set_bit_identical() -> None:
    disk = Disk()
    with _listening(disk) as peer:
        [outcome] = _send(peer, _file())
    assert outcome.status == 0x0000
    assert [_data_set(content) for content in disk.files] == [_data_set(_file().read_bytes())]


def test_stored_file_starts_with_zeros_and_meta_information_of_our_own() -> None:
    disk = Disk()
    with _listening(disk) as peer:
        _send(peer, _file())
    sent = dcmread(_file())
    assert disk.files[0][:132] == bytes(128) + b"DICM"
    assert disk.files[0].startswith(
        file_header(
            sop_class_uid=sent.SOPClassUID,
            sop_instance_uid=sent.SOPInstanceUID,
            transfer_syntax_uid=EXPLICIT,
        )
    )


def test_sink_learns_both_ae_titles() -> None:
    disk = Disk()
    listener = Listener(aliases=(Alias(ae_title="STAT"),))
    with _listening(disk, listener) as peer:
        _send(peer.model_copy(update={"ae_title": "STAT"}), _file())
    assert disk.titles == [("SCANNER", "STAT")]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("MR_small_implicit.dcm", id="implicit"),
        pytest.param("MR_small_bigendian.dcm", id="big-endian"),
        pytest.param("image_dfl.dcm", id="deflated"),
        pytest.param("MR_small_RLE.dcm", id="rle"),
        pytest.param("SC_rgb_jpeg_gdcm.dcm", id="jpeg-lossless"),
        pytest.param("JPEG-lossy.dcm", id="jpeg-12-bit"),
        pytest.param("MR_small_jpeg_ls_lossless.dcm", id="jpeg-ls"),
        pytest.param("MR_small_jp2klossless.dcm", id="jpeg-2000"),
        pytest.param("test-SR.dcm", id="structured-report"),
        pytest.param("liver_1frame.dcm", id="segmentation"),
        pytest.param("waveform_ecg.dcm", id="waveform"),
    ],
)
def test_every_kind_of_instance_is_stored_bit_identical(name: str) -> None:
    disk = Disk()
    with _listening(disk) as peer:
        [outcome] = _send(peer, _file(name))
    assert outcome.status == 0x0000
    assert [_data_set(content) for content in disk.files] == [_data_set(_file(name).read_bytes())]


def test_private_sop_class_is_stored(tmp_path: Path) -> None:
    disk = Disk()
    private = _changed(tmp_path, SOPClassUID="1.3.46.670589.11.0.0.12.1", SOPInstanceUID="1.2.3.4")
    with _listening(disk) as peer:
        [outcome] = _send(peer, private)
    assert outcome.status == 0x0000
    assert disk.headers[0].sop_class_uid == "1.3.46.670589.11.0.0.12.1"


def test_dicomdir_is_refused_at_negotiation(tmp_path: Path) -> None:
    directory = _instance(tmp_path, b"", sop_class="1.2.840.10008.1.3.10")
    with capture_logs() as events, _listening(Disk()) as peer:
        [outcome] = _send(peer, directory)
    assert outcome.status is None
    assert "does not accept SOP class 1.2.840.10008.1.3.10" in str(outcome.error)
    assert [one["sop_class_uids"] for one in events if one["event"] == "context.refused"] == [
        ["1.2.840.10008.1.3.10"]
    ]


# --- what is answered ---


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(OutOfSpaceError("no room"), 0xA700, id="disk-full"),
        pytest.param(DatabaseUnavailableError("no answer"), 0xA700, id="database-away"),
        pytest.param(InstanceError("unusable"), 0xC000, id="unusable-instance"),
        pytest.param(ZeroDivisionError("a defect"), 0x0110, id="defect"),
    ],
)
def test_error_of_the_sink_becomes_a_status(error: Exception, status: int) -> None:
    disk = Disk(error)
    with _listening(disk) as peer:
        [outcome] = _send(peer, _file())
    assert outcome.status == status
    assert disk.files == []


def test_association_goes_on_after_a_refusal() -> None:
    disk = Disk(OutOfSpaceError("no room"))
    with _listening(disk) as peer:
        outcomes = send(peer, "SCANNER", [_file(), _file("MR_small.dcm")])
        assert next(outcomes).status == 0xA700
        disk.error = None
        assert next(outcomes).status == 0x0000


@pytest.mark.parametrize(
    "data_set",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x08\x00\x16\x00UI\x1a\x00" + b"1.2", id="cut-in-the-first-element"),
        pytest.param(bytes(range(256)) * 8, id="noise"),
        pytest.param(b"\xff" * 4096, id="ones"),
    ],
)
def test_garbage_is_answered_with_cannot_understand(data_set: bytes, tmp_path: Path) -> None:
    disk = Disk()
    with _listening(disk) as peer:
        outcomes = _send(peer, _instance(tmp_path, data_set), _file())
    assert [outcome.status for outcome in outcomes] == [0xC000, 0x0000]


def test_data_set_that_ends_early_is_answered_with_cannot_understand(tmp_path: Path) -> None:
    sent = dcmread(_file())
    data_set = _data_set(_file().read_bytes())[:-2000]
    path = _instance(tmp_path, data_set, uid=sent.SOPInstanceUID)
    with _listening(Disk()) as peer:
        [outcome] = _send(peer, path)
    assert outcome.status == 0xC000


def test_data_set_of_another_instance_is_answered_with_does_not_match(tmp_path: Path) -> None:
    other = _instance(tmp_path, _data_set(_file().read_bytes()), uid="1.2.3.999")
    disk = Disk()
    with _listening(disk) as peer:
        [outcome] = _send(peer, other)
    assert outcome.status == 0xA900
    assert disk.files == []


def test_uid_that_is_a_path_is_answered_with_a_failure(tmp_path: Path) -> None:
    path = _changed(tmp_path, SOPInstanceUID="1.2.3.5")
    content = path.read_bytes().replace(b"1.2.3.5\0", b"../../x\0")
    hostile = tmp_path / "hostile.dcm"
    hostile.write_bytes(content)
    disk = Disk()
    with _listening(disk) as peer:
        [outcome] = _send(peer, hostile)
    assert outcome.status == 0xC000
    assert disk.files == []


def test_association_that_aborts_within_an_instance_leaves_nothing() -> None:
    disk = Disk()
    with capture_logs() as events, _listening(disk) as peer:
        _send_half(peer)
        _wait_for(lambda: any(one["event"] == "association.aborted" for one in events))
        assert _send(peer, _file("MR_small.dcm"))[0].status == 0x0000
    assert len(disk.files) == 1


def _send_half(peer: Peer) -> None:
    """Send the first half of a C-STORE request, then abort."""
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(CT, EXPLICIT)
    association = entity.associate(peer.host, peer.port, ae_title=peer.ae_title)
    assert association.is_established
    sent = dcmread(_file())
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CT, sent.SOPInstanceUID
    request.DataSet = BytesIO(_data_set(_file().read_bytes()))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    parts = list(message.encode_msg(1, 4096))
    for part in parts[: len(parts) // 2]:
        association.dul.send_pdu(part)
    association.abort()


def _wait_for(condition: object, seconds: float = 10) -> None:
    assert callable(condition)
    waiting = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        waiting.wait(0.02)


# --- who is let in ---


def test_echo_is_answered() -> None:
    with _listening(Disk()) as peer:
        echo(peer, "SCANNER")


def test_unknown_called_title_is_rejected_and_the_remedy_logged() -> None:
    with (
        capture_logs() as events,
        _listening(Disk()) as peer,
        pytest.raises(PeerUnavailableError, match="Called AE title not recognised"),
    ):
        echo(peer.model_copy(update={"ae_title": "OTHER"}), "SCANNER")
    [refused] = [one for one in events if one["event"] == "association.refused"]
    assert refused["called_ae_title"] == "OTHER"
    assert "[[listener.aliases]]" in refused["remedy"]


def test_unknown_calling_title_is_rejected_and_the_remedy_logged() -> None:
    with (
        capture_logs() as events,
        _listening(Disk()) as peer,
        pytest.raises(PeerUnavailableError, match="Calling AE title not recognised"),
    ):
        echo(peer, "STRANGER")
    [refused] = [one for one in events if one["event"] == "association.refused"]
    assert 'ae_title = "STRANGER"' in refused["remedy"]


def test_unknown_calling_title_is_let_in_where_strangers_are_accepted() -> None:
    with _listening(Disk(), Listener(accept_unknown_peers=True)) as peer:
        echo(peer, "STRANGER")


def test_association_beyond_the_limit_is_rejected_for_now() -> None:
    disk = Disk()
    disk.go_on.clear()
    with _listening(disk, Listener(maximum_associations=1)) as peer:
        sender = threading.Thread(target=_send, args=(peer, _file()))
        sender.start()
        assert disk.entered.wait(10)
        with pytest.raises(PeerUnavailableError, match="Rejected Transient, Local limit exceeded"):
            echo(peer, "SCANNER")
        disk.go_on.set()
        sender.join(10)
        _wait_for(lambda: _is_answered(peer))


def _is_answered(peer: Peer) -> bool:
    try:
        echo(peer, "SCANNER")
    except PeerUnavailableError:
        return False
    return True


def test_silent_connections_do_not_keep_others_out() -> None:
    with contextlib.ExitStack() as stack, _listening(Disk()) as peer:
        for _ in range(30):
            silent = stack.enter_context(socket.create_connection((peer.host, peer.port)))
        silent.sendall(b"\x01\x00\x00\x00\x10\x00half a request")
        started = time.monotonic()
        echo(peer, "SCANNER")
        assert time.monotonic() - started < 5


def test_pdu_that_claims_four_gigabytes_ends_the_connection() -> None:
    with _listening(Disk()) as peer, socket.create_connection((peer.host, peer.port)) as liar:
        liar.sendall(b"\x01\x00\xff\xff\xff\xff" + bytes(1000))
        liar.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert liar.recv(10) == b""


# --- what is logged ---


def test_one_line_tells_what_an_association_brought() -> None:
    with capture_logs() as events, _listening(Disk()) as peer:
        _send(peer, _file(), _file("MR_small.dcm"))
    [line] = [one for one in events if one["event"] == "association.released"]
    assert (line["stored"], line["refused"]) == (2, 0)
    sent = _data_set(_file().read_bytes()), _data_set(_file("MR_small.dcm").read_bytes())
    assert line["size_bytes"] == sum(map(len, sent))
    assert line["calling_ae_title"] == "SCANNER"


def test_nothing_of_the_patient_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    named = _changed(tmp_path, PatientName=PATIENT, PatientID=PATIENT, SOPInstanceUID="1.2.3.6")
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(named.read_bytes()[:-1000])
    disk = Disk(ZeroDivisionError(PATIENT))
    with capture_logs() as events, _listening(disk) as peer:
        outcomes = _send(peer, named, cut)
    assert [outcome.status for outcome in outcomes] == [0x0110, 0xC000]
    assert PATIENT not in str(events) + caplog.text + str(outcomes)


# --- the stop ---


def test_stop_lets_a_running_store_finish() -> None:
    disk = Disk()
    disk.go_on.clear()
    scp = StorageSCP(Listener(host="127.0.0.1", port=0), [SCANNER], disk)
    scp.start()
    peer = Peer(name="medaet", ae_title="MEDAET", host="127.0.0.1", port=scp.port)
    outcomes: list[SendOutcome] = []
    sender = threading.Thread(target=lambda: outcomes.extend(_send(peer, _file())))
    sender.start()
    assert disk.entered.wait(10)
    stopping = threading.Thread(target=scp.stop, args=(10,))
    stopping.start()
    stopping.join(0.3)
    assert stopping.is_alive()
    disk.go_on.set()
    stopping.join(10)
    sender.join(10)
    assert [outcome.status for outcome in outcomes] == [0x0000]
    with pytest.raises(PeerUnavailableError):
        echo(peer, "SCANNER")


def test_stop_is_bounded_when_a_store_never_finishes() -> None:
    disk = Disk()
    disk.go_on.clear()
    scp = StorageSCP(Listener(host="127.0.0.1", port=0), [SCANNER], disk)
    scp.start()
    peer = Peer(name="medaet", ae_title="MEDAET", host="127.0.0.1", port=scp.port)
    sender = threading.Thread(target=_send, args=(peer, _file()))
    sender.start()
    assert disk.entered.wait(10)
    started = time.monotonic()
    scp.stop(drain_seconds=0.2)
    assert time.monotonic() - started < 6
    disk.go_on.set()
    sender.join(10)


def test_stop_aborts_an_association_that_says_nothing() -> None:
    scp = StorageSCP(Listener(host="127.0.0.1", port=0), [SCANNER], Disk())
    scp.start()
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(CT)
    association = entity.associate("127.0.0.1", scp.port, ae_title="MEDAET")
    assert association.is_established
    started = time.monotonic()
    scp.stop(drain_seconds=20)
    assert time.monotonic() - started < 5
    _wait_for(lambda: association.is_aborted)


# --- dcmtk, as it is shipped ---


@dcmtk
def test_echoscu_succeeds() -> None:
    with _listening(Disk()) as peer:
        assert _dcmtk("echoscu", peer).returncode == 0


@dcmtk
def test_storescu_stores_bit_identical_instances(tmp_path: Path) -> None:
    disk = Disk()
    paths = [*write_series(tmp_path / "ct"), *write_series(tmp_path / "mr", modality="MR", seed=1)]
    with _listening(disk) as peer:
        done = _dcmtk("storescu", peer, *paths)
    assert done.returncode == 0, done.stderr
    sent = [_data_set(path.read_bytes()) for path in paths]
    assert [_data_set(content) for content in disk.files] == sent


@dcmtk
@pytest.mark.parametrize(
    "series",
    ["chest_ct", "brain_mr", "head_ct", "head_mr_t1_1mm", "head_mr_pd_native"],
)
def test_storescu_stores_every_real_series(series: str, scans: Path) -> None:
    disk = Disk()
    paths = [path for path in (scans / series).rglob("*") if is_dicom(path)]
    with _listening(disk) as peer:
        done = _dcmtk("storescu", peer, *paths)
    assert done.returncode == 0, done.stderr
    assert len(disk.files) == len(paths) > 0


@dcmtk
def test_storescu_is_told_that_the_disk_is_full() -> None:
    with _listening(Disk(OutOfSpaceError("no room"))) as peer:
        done = _dcmtk("storescu", peer, "-v", _file())
    assert done.returncode != 0
    assert "Refused: OutOfResources" in done.stdout + done.stderr


@dcmtk
def test_echoscu_is_told_why_it_is_rejected() -> None:
    with _listening(Disk()) as peer:
        done = _dcmtk("echoscu", peer.model_copy(update={"ae_title": "OTHER"}))
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stdout + done.stderr


# --- the whole stage ---


@pytest.fixture
def config(tmp_path: Path, free_port: int) -> Config:
    return Config.model_validate(
        {
            "listener": {"host": "127.0.0.1", "port": free_port, "processes": 2},
            "database": {"url": f"sqlite:///{tmp_path}/medaet.db"},
            "spool": {"path": tmp_path / "spool", "minimum_free_bytes": 0},
            "peers": [{"name": "scanner", "ae_title": "SCANNER", "host": "127.0.0.1"}],
        }
    )


@contextlib.contextmanager
def _receiver(config: Config) -> Iterator[tuple[subprocess.Popen[str], Peer]]:
    """Run the stage as a process of its own, with the processes that it forks."""
    migrate.upgrade(config.database_url)
    script = (
        "import sys; from medaet import logs; from medaet.config.model import Config; "
        "from medaet_daemon.receive import main_loop; logs.set_up(verbose=True); "
        "main_loop(Config.model_validate_json(sys.argv[1]), lambda: print('ready', flush=True))"
    )
    command = [sys.executable, "-c", script, config.model_dump_json()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    listener = config.listener
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process, Peer(name="medaet", ae_title="MEDAET", host="127.0.0.1", port=listener.port)
    finally:
        process.kill()
        process.communicate(timeout=20)


def _stop(process: subprocess.Popen[str]) -> str:
    """Ask the stage to stop; return what it logged."""
    process.send_signal(signal.SIGTERM)
    _, logged = process.communicate(timeout=30)
    assert process.returncode == 0, logged
    return logged


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _stored(config: Config) -> list[Path]:
    """Return the files of every indexed instance."""
    spool = Spool(config.spool.path)
    with contextlib.closing(Database(config.database_url)) as database, database.read() as session:
        return [spool.path(path) for path in session.scalars(select(InstanceRow.path))]


def test_what_was_answered_with_success_is_on_disk_and_indexed(config: Config) -> None:
    with _receiver(config) as (process, peer):
        names = ["CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm"]
        outcomes = _send(peer, *map(_file, names))
        logged = _stop(process)
    assert [outcome.status for outcome in outcomes] == [0, 0, 0x0000]
    files = _stored(config)
    assert {_data_set(path.read_bytes()) for path in files} == {
        _data_set(_file(name).read_bytes()) for name in names
    }
    assert list((config.spool.path / "in").iterdir()) == []
    assert logged.count("instance.stored") == 3
    assert logged.count("association.released") == 1


def test_receivers_that_die_are_replaced(config: Config) -> None:
    with _receiver(config) as (process, peer):
        before = _children(process.pid)
        assert len(before) == 2
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        _wait_for(lambda: len(set(_children(process.pid)) - set(before)) == 2)
        _wait_for(lambda: _is_answered(peer))
        logged = _stop(process)
    assert logged.count("receiver.ended") == 2


def test_receivers_do_not_outlive_their_parent(config: Config) -> None:
    with _receiver(config) as (process, _):
        children = _children(process.pid)
        process.kill()
        process.wait(10)
        _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def test_limit_of_associations_holds_over_all_processes(config: Config) -> None:
    limited = config.listener.model_copy(update={"maximum_associations": 3})
    with _receiver(config.model_copy(update={"listener": limited})) as (process, peer):
        entity = AE(ae_title="SCANNER")
        entity.add_requested_context(CT)
        held = [entity.associate(peer.host, peer.port, ae_title=peer.ae_title) for _ in range(8)]
        established = [association for association in held if association.is_established]
        assert len(established) == 3
        for association in established:
            association.release()
        _wait_for(lambda: _is_answered(peer))
        _stop(process)


def test_repeated_instance_is_stored_once(database: Database, tmp_path: Path) -> None:
    sink = SpoolSink(Spool(tmp_path, durable=False), InstanceStore(database, SystemClock()))
    with _listening(sink) as peer:
        assert [one.status for one in _send(peer, _file(), _file())] == [0, 0]
    assert _counts(database) == (1, 1)
    assert len(list(tmp_path.glob("instances/*/*/*.dcm"))) == 1


def test_other_bytes_under_a_known_uid_are_kept_beside_and_logged(
    database: Database, tmp_path: Path
) -> None:
    other = _changed(tmp_path, SeriesDescription="reconstructed again")
    spool = tmp_path / "spool"
    sink = SpoolSink(Spool(spool, durable=False), InstanceStore(database, SystemClock()))
    with capture_logs() as events, _listening(sink) as peer:
        assert [one.status for one in _send(peer, _file(), other)] == [0, 0]
    assert _counts(database) == (2, 1)
    assert len(list(spool.glob("instances/*/*/*.dcm"))) == 2
    assert len([one for one in events if one["event"] == "instance.replaced"]) == 1


def test_full_disk_leaves_neither_file_nor_row(database: Database, tmp_path: Path) -> None:
    full = Spool(tmp_path / "spool", minimum_free_bytes=1 << 62, durable=False)
    with _listening(SpoolSink(full, InstanceStore(database, SystemClock()))) as peer:
        [outcome] = _send(peer, _file())
    assert outcome.status == 0xA700
    assert str(tmp_path) not in outcome.comment
    assert _counts(database) == (0, 0)
    assert [path for path in full.root.rglob("*") if path.is_file()] == []


def _counts(database: Database) -> tuple[int, int]:
    """Count instances and series."""
    with database.read() as session:
        instances = session.scalar(select(func.count()).select_from(InstanceRow))
        series = session.scalar(select(func.count()).select_from(SeriesRow))
    return instances or 0, series or 0
