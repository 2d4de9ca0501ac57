"""C-ECHO and C-STORE to peers that take, warn, refuse, vanish or never were there."""

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt

from medaet.config.model import Peer
from medaet.errors import InstanceError, PeerBusyError, PeerRefusedError, PeerUnavailableError
from medaet.network.scu import echo, send
from medaet.testing.pacs import StandInPacs

CT = "1.2.840.10008.5.1.4.1.1.2"


def _file(name: str) -> Path:
    found = get_testdata_file(name)
    assert isinstance(found, str)
    return Path(found)


def _peer(pacs: StandInPacs, ae_title: str = "PACS") -> Peer:
    return Peer(name="pacs", ae_title=ae_title, host="127.0.0.1", port=pacs.port)


def _data_set(path: Path) -> bytes:
    """Everything after the file meta information, whose group length is its first element."""
    content = path.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def _abort(event: evt.Event) -> int:
    event.assoc.abort()
    return 0x0000


def test_echo_succeeds_when_the_peer_answers(tmp_path: Path) -> None:
    with StandInPacs(tmp_path) as pacs:
        echo(_peer(pacs), "MEDAET")


def test_echo_names_the_peer_when_nobody_listens(free_port: int) -> None:
    peer = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=free_port)
    with pytest.raises(PeerUnavailableError, match=r"peer pacs .* cannot be reached"):
        echo(peer, "MEDAET")


def test_echo_names_the_peer_when_its_host_does_not_exist() -> None:
    peer = Peer(name="pacs", ae_title="PACS", host="no-such-host.invalid", port=104)
    with pytest.raises(PeerUnavailableError, match=r"peer pacs .* cannot be reached"):
        echo(peer, "MEDAET")


def test_echo_tells_the_reason_when_the_association_is_rejected(tmp_path: Path) -> None:
    with (
        StandInPacs(tmp_path) as pacs,
        pytest.raises(PeerUnavailableError, match=r"rejected .*Called AE title not recognised"),
    ):
        echo(_peer(pacs, "OTHER"), "MEDAET")


def test_echo_is_refused_when_the_peer_takes_no_verification() -> None:
    entity = AE(ae_title="PACS")
    entity.add_supported_context(CT)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    port = server.server_address[1]
    try:
        with pytest.raises(PeerRefusedError, match="does not accept C-ECHO"):
            echo(Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=port), "MEDAET")
    finally:
        server.shutdown()


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "image_dfl.dcm"],
)
def test_send_leaves_the_data_set_bit_identical(name: str, tmp_path: Path) -> None:
    with StandInPacs(tmp_path) as pacs:
        [outcome] = send(_peer(pacs), "MEDAET", [_file(name)])
        assert outcome.error is None
        assert outcome.status == 0
        assert [_data_set(path) for path in pacs.received] == [_data_set(_file(name))]


def test_send_uses_one_association_for_all_files(tmp_path: Path) -> None:
    accepted: list[str] = []
    with StandInPacs(tmp_path) as pacs:
        pacs.on(evt.EVT_ACCEPTED, lambda event: accepted.append(event.assoc.name))
        outcomes = list(send(_peer(pacs), "MEDAET", [_file("CT_small.dcm"), _file("MR_small.dcm")]))
    assert [outcome.status for outcome in outcomes] == [0, 0]
    assert len(accepted) == 1


def test_send_re_encodes_for_a_peer_that_takes_implicit_vr_only(tmp_path: Path) -> None:
    received = []
    entity = AE(ae_title="PACS")
    entity.add_supported_context(CT, ImplicitVRLittleEndian)

    def keep(event: evt.Event) -> int:
        received.append(event.dataset)
        return 0x0000

    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)]
    )
    port = server.server_address[1]
    try:
        peer = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=port)
        [outcome] = send(peer, "MEDAET", [_file("CT_small.dcm")])
    finally:
        server.shutdown()
    sent = dcmread(_file("CT_small.dcm"))
    assert sent.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert outcome.error is None
    assert received[0].PixelData == sent.PixelData


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_send_counts_a_warning_as_stored(status: int, tmp_path: Path) -> None:
    with StandInPacs(tmp_path, statuses=[status]) as pacs:
        [outcome] = send(_peer(pacs), "MEDAET", [_file("CT_small.dcm")])
    assert outcome.error is None
    assert outcome.status == status


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0x0213])
def test_send_reports_a_peer_that_is_busy(status: int, tmp_path: Path) -> None:
    with StandInPacs(tmp_path, statuses=[status]) as pacs:
        [outcome] = send(_peer(pacs), "MEDAET", [_file("CT_small.dcm")])
    assert isinstance(outcome.error, PeerBusyError)
    assert outcome.status == status


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0xC123, 0x0110, 0x0122, 0x0124])
def test_send_reports_a_peer_that_refuses(status: int, tmp_path: Path) -> None:
    with StandInPacs(tmp_path, statuses=[status]) as pacs:
        [outcome] = send(_peer(pacs), "MEDAET", [_file("CT_small.dcm")])
    assert isinstance(outcome.error, PeerRefusedError)
    assert f"{status:04X}" in str(outcome.error)


def test_send_goes_on_after_a_refusal(tmp_path: Path) -> None:
    with StandInPacs(tmp_path, statuses=[0xC000]) as pacs:
        outcomes = list(send(_peer(pacs), "MEDAET", [_file("CT_small.dcm"), _file("MR_small.dcm")]))
    assert [outcome.status for outcome in outcomes] == [0xC000, 0]


def test_send_names_the_sop_class_that_the_peer_does_not_accept(tmp_path: Path) -> None:
    with StandInPacs(tmp_path, refused_sop_classes=[CT]) as pacs:
        outcomes = list(send(_peer(pacs), "MEDAET", [_file("CT_small.dcm"), _file("MR_small.dcm")]))
    assert isinstance(outcomes[0].error, PeerRefusedError)
    assert CT in str(outcomes[0].error)
    assert outcomes[1].error is None


def test_send_names_the_sop_class_when_the_peer_accepts_none(tmp_path: Path) -> None:
    with StandInPacs(tmp_path, refused_sop_classes=[CT]) as pacs:
        [outcome] = send(_peer(pacs), "MEDAET", [_file("CT_small.dcm")])
    assert isinstance(outcome.error, PeerRefusedError)


def test_send_reports_a_file_that_is_no_dicom_and_sends_the_others(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("not an instance")
    with StandInPacs(tmp_path / "received") as pacs:
        outcomes = list(send(_peer(pacs), "MEDAET", [note, _file("CT_small.dcm")]))
    assert isinstance(outcomes[0].error, InstanceError)
    assert outcomes[1].status == 0


def test_send_reports_every_file_that_an_abort_left_behind(tmp_path: Path) -> None:
    with StandInPacs(tmp_path) as pacs:
        pacs.on(evt.EVT_C_STORE, _abort)
        files = [_file("CT_small.dcm"), _file("MR_small.dcm")]
        outcomes = list(send(_peer(pacs), "MEDAET", files))
    assert [type(outcome.error) for outcome in outcomes] == [PeerUnavailableError] * 2


def test_send_raises_before_the_first_outcome_when_nobody_listens(free_port: int) -> None:
    peer = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=free_port)
    with pytest.raises(PeerUnavailableError):
        next(send(peer, "MEDAET", [_file("CT_small.dcm")]))
