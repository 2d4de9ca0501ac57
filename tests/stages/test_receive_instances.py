"""What the storage SCP stores and answers, on each of its engines, against pynetdicom's SCU."""

import logging
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from structlog.testing import capture_logs

from medaet.config.model import Alias, Listener, Peer
from medaet.errors import DatabaseUnavailableError, InstanceError, OutOfSpaceError
from medaet.network.part10 import file_header
from medaet.network.scu import send
from tests.stages.receiving import (
    CT,
    EXPLICIT,
    Disk,
    Listening,
    associated,
    changed,
    data_set,
    instance,
    sample,
    sent,
    statuses,
    wait_for,
)

PATIENT = "Canary^Yellow"


def test_instance_is_stored_with_its_data_set_bit_identical(serve: Listening) -> None:
    disk = Disk()
    with serve(disk) as peer:
        assert statuses(peer, sample()) == [0x0000]
    assert [data_set(content) for content in disk.files] == [data_set(sample().read_bytes())]


def test_stored_file_starts_with_zeros_and_meta_information_of_our_own(serve: Listening) -> None:
    disk = Disk()
    with serve(disk) as peer:
        sent(peer, sample())
    dataset = dcmread(sample())
    assert disk.files[0][:132] == bytes(128) + b"DICM"
    assert disk.files[0].startswith(
        file_header(
            sop_class_uid=dataset.SOPClassUID,
            sop_instance_uid=dataset.SOPInstanceUID,
            transfer_syntax_uid=EXPLICIT,
        )
    )


def test_sink_learns_who_sends(serve: Listening) -> None:
    disk = Disk()
    with serve(disk, Listener(aliases=(Alias(ae_title="STAT"),))) as peer:
        sent(peer.model_copy(update={"ae_title": "STAT"}), sample())
    [sender] = disk.senders
    assert sender.calling_ae_title == "SCANNER"
    assert sender.called_ae_title == "STAT"
    assert sender.address == "127.0.0.1"


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
def test_every_kind_of_instance_is_stored_bit_identical(serve: Listening, name: str) -> None:
    disk = Disk()
    with serve(disk) as peer:
        assert statuses(peer, sample(name)) == [0x0000]
    assert [data_set(content) for content in disk.files] == [data_set(sample(name).read_bytes())]


def test_private_sop_class_is_stored(serve: Listening, tmp_path: Path) -> None:
    disk = Disk()
    private = changed(tmp_path, SOPClassUID="1.3.46.670589.11.0.0.12.1", SOPInstanceUID="1.2.3.4")
    with serve(disk) as peer:
        assert statuses(peer, private) == [0x0000]
    assert disk.intakes[0].ref.sop_class_uid == "1.3.46.670589.11.0.0.12.1"


def test_dicomdir_is_refused_at_negotiation(serve: Listening, tmp_path: Path) -> None:
    directory = instance(tmp_path, b"", sop_class="1.2.840.10008.1.3.10")
    with capture_logs() as events, serve(Disk()) as peer:
        [outcome] = sent(peer, directory)
    assert outcome.status is None
    assert "does not accept SOP class 1.2.840.10008.1.3.10" in str(outcome.error)
    assert [one["sop_class_uids"] for one in events if one["event"] == "context.refused"] == [
        ["1.2.840.10008.1.3.10"]
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(OutOfSpaceError("no room"), 0xA700, id="disk-full"),
        pytest.param(DatabaseUnavailableError("no answer"), 0xA700, id="database-away"),
        pytest.param(InstanceError("unusable"), 0xC000, id="unusable-instance"),
        pytest.param(ZeroDivisionError("a defect"), 0x0110, id="defect"),
    ],
)
def test_error_of_the_sink_becomes_a_status(
    serve: Listening, error: Exception, status: int
) -> None:
    disk = Disk(error)
    with serve(disk) as peer:
        assert statuses(peer, sample()) == [status]
    assert disk.files == []
    assert disk.discarded == 1


def test_association_goes_on_after_a_refusal(serve: Listening) -> None:
    disk = Disk(OutOfSpaceError("no room"))
    with serve(disk) as peer:
        outcomes = send(peer, "SCANNER", [sample(), sample("MR_small.dcm")])
        assert next(outcomes).status == 0xA700
        disk.error = None
        assert next(outcomes).status == 0x0000


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x08\x00\x16\x00UI\x1a\x00" + b"1.2", id="cut-in-the-first-element"),
        pytest.param(bytes(range(256)) * 8, id="noise"),
        pytest.param(b"\xff" * 4096, id="ones"),
        pytest.param(b"\x08\x00\x05\x11SQ\0\0\xff\xff\xff\xff", id="sequence-without-end"),
        pytest.param(b"\xe0\x7f\x10\x00OW\0\0\xfe\xff\xff\xff" + bytes(1000), id="length-lie"),
    ],
)
def test_garbage_is_answered_with_cannot_understand(
    serve: Listening, content: bytes, tmp_path: Path
) -> None:
    with serve(Disk()) as peer:
        assert statuses(peer, instance(tmp_path, content), sample()) == [0xC000, 0x0000]


@pytest.mark.parametrize("missing", [1, 2000, 32_000, 39_000])
def test_data_set_that_ends_early_is_answered_with_cannot_understand(
    serve: Listening, tmp_path: Path, missing: int
) -> None:
    content = data_set(sample().read_bytes())[:-missing]
    path = instance(tmp_path, content, uid=dcmread(sample()).SOPInstanceUID)
    with serve(Disk()) as peer:
        assert statuses(peer, path, sample()) == [0xC000, 0x0000]


def test_data_set_of_another_instance_is_answered_with_does_not_match(
    serve: Listening, tmp_path: Path
) -> None:
    other = instance(tmp_path, data_set(sample().read_bytes()), uid="1.2.3.999")
    disk = Disk()
    with serve(disk) as peer:
        assert statuses(peer, other) == [0xA900]
    assert disk.files == []


def test_instance_beyond_the_longest_is_answered_with_cannot_understand(
    serve: Listening, tmp_path: Path
) -> None:
    disk = Disk()
    long = changed(tmp_path, SOPInstanceUID="1.2.3.7", TextValue="x" * 1_000_000)
    with serve(disk, Listener(maximum_instance_bytes=1_000_000)) as peer:
        assert statuses(peer, long, sample()) == [0xC000, 0x0000]
    assert len(disk.files) == 1


@pytest.mark.parametrize("form", [b"../../x\0", b"1.2\0./y\0", b"1..2.3.\0"])
def test_uid_that_is_none_is_answered_with_a_failure(
    serve: Listening, tmp_path: Path, form: bytes
) -> None:
    path = changed(tmp_path, SOPInstanceUID="1.2.3.5")
    hostile = tmp_path / "hostile.dcm"
    hostile.write_bytes(path.read_bytes().replace(b"1.2.3.5\0", form))
    disk = Disk()
    with serve(disk) as peer:
        assert statuses(peer, hostile) == [0xC000]
    assert disk.files == []


def test_association_that_aborts_within_an_instance_leaves_nothing(serve: Listening) -> None:
    disk = Disk()
    with capture_logs() as events, serve(disk) as peer:
        _send_half(peer)
        wait_for(lambda: any(one["event"] == "association.aborted" for one in events))
        assert statuses(peer, sample("MR_small.dcm")) == [0x0000]
    assert len(disk.files) == 1


def _send_half(peer: Peer) -> None:
    """Send the first half of a C-STORE request, then abort."""
    association = associated(peer)
    assert association.is_established
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = CT
    request.AffectedSOPInstanceUID = dcmread(sample()).SOPInstanceUID
    request.DataSet = BytesIO(data_set(sample().read_bytes()))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    parts = list(message.encode_msg(1, 4096))
    for part in parts[: len(parts) // 2]:
        association.dul.send_pdu(part)
    association.abort()


def test_one_line_tells_what_an_association_brought(serve: Listening) -> None:
    with capture_logs() as events, serve(Disk()) as peer:
        sent(peer, sample(), sample("MR_small.dcm"))
    [line] = [one for one in events if one["event"] == "association.released"]
    assert (line["stored"], line["refused"]) == (2, 0)
    brought = data_set(sample().read_bytes()), data_set(sample("MR_small.dcm").read_bytes())
    assert line["size_bytes"] == sum(map(len, brought))
    assert line["calling_ae_title"] == "SCANNER"


def test_nothing_of_the_patient_is_logged(
    serve: Listening, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    named = changed(tmp_path, PatientName=PATIENT, PatientID=PATIENT, SOPInstanceUID="1.2.3.6")
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(named.read_bytes()[:-1000])
    with capture_logs() as events, serve(Disk(ZeroDivisionError(PATIENT))) as peer:
        outcomes = sent(peer, named, cut)
    assert [outcome.status for outcome in outcomes] == [0x0110, 0xC000]
    assert PATIENT not in str(events) + caplog.text + str(outcomes)
