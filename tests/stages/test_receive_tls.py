"""The storage SCP over TLS: who is let in, with which versions and certificates, against openssl and dcmtk."""

import contextlib
import hashlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from medaet.config.model import Listener, ListenerTls, Peer
from medaet.errors import ConfigError
from medaet.network.engine import Engine
from medaet.network.tls import server_context
from medaet.testing.phantom import write_series
from tests.peers import system_program
from tests.stages.certificates import Authority, Hospital, fingerprint
from tests.stages.receiving import SCANNER, Disk, is_answered, sample, wait_for


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    authority = Authority.made(tmp_path_factory.mktemp("ca"))
    return Hospital(authority, authority.issue("medaet"), authority.issue("scanner"))


@contextlib.contextmanager
def _serving(tls: ListenerTls, disk: Disk, peer: Peer = SCANNER, **values: Any) -> Iterator[Engine]:
    engine = Engine(Listener(host="127.0.0.1", port=0, tls=tls, **values), [peer], disk)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop(5)


def _client(hospital: Hospital, *, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=hospital.authority.certificate)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def _shakes_hands(port: int, context: ssl.SSLContext) -> str:
    """Shake hands and wait for a verdict, which TLS 1.3 gives late; return the version, or "" when refused."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            secure.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                secure.recv(1)
            return secure.version() or ""
    except (ssl.SSLError, ConnectionError):
        return ""


def _dcmtk(
    program: str, port: int, hospital: Hospital, *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    certificate, key = hospital.scanner
    return subprocess.run(
        [
            *(system_program(program), "+tls", str(key), str(certificate)),
            *("+cf", str(hospital.authority.certificate)),
            *("-aet", "SCANNER", "-aec", "MEDAET", "127.0.0.1", str(port), *map(str, arguments)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.interop
@pytest.mark.parametrize("profile", ["B.12", "B.13"])
def test_storescu_stores_over_tls(hospital: Hospital, tmp_path: Path, profile: str) -> None:
    disk = Disk()
    paths = write_series(tmp_path, shape=(4, 128, 128))
    with _serving(hospital.tls(profile=profile), disk) as engine:
        done = _dcmtk("storescu", engine.ports[0], hospital, *paths)
    assert done.returncode == 0, done.stderr
    assert len(disk.files) == 4
    assert all(len(content) > 32_768 for content in disk.files)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_of_today_is_spoken(hospital: Hospital, version: ssl.TLSVersion) -> None:
    context = _client(hospital, certificate=hospital.scanner)
    context.minimum_version = context.maximum_version = version
    with _serving(hospital.tls(), Disk()) as engine:
        assert _shakes_hands(engine.ports[0], context) == version.name.replace("_", ".")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_tls_of_yesterday_is_refused(hospital: Hospital, version: ssl.TLSVersion) -> None:
    context = _client(hospital, certificate=hospital.scanner)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with _serving(hospital.tls(), Disk()) as engine:
        assert _shakes_hands(engine.ports[0], context) == ""


@pytest.mark.parametrize(("profile", "version"), [("B.12", "TLSv1.2"), ("B.13", "")])
def test_ciphers_without_authenticated_encryption_are_taken_in_profile_b12_only(
    hospital: Hospital, profile: str, version: str
) -> None:
    context = _client(hospital, certificate=hospital.scanner)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256")
    with _serving(hospital.tls(profile=profile), Disk()) as engine:
        assert _shakes_hands(engine.ports[0], context) == version


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "NULL:aNULL"])
def test_weak_ciphers_are_refused(hospital: Hospital, ciphers: str) -> None:
    context = _client(hospital, certificate=hospital.scanner)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with _serving(hospital.tls(), Disk()) as engine:
        assert _shakes_hands(engine.ports[0], context) == ""


def test_client_without_certificate_is_refused(hospital: Hospital) -> None:
    with _serving(hospital.tls(), Disk()) as engine:
        assert _shakes_hands(engine.ports[0], _client(hospital)) == ""


def test_client_without_certificate_is_let_in_where_that_is_wished(hospital: Hospital) -> None:
    with _serving(hospital.tls(require_client_cert=False), Disk()) as engine:
        assert _shakes_hands(engine.ports[0], _client(hospital))


def test_certificate_of_another_authority_is_refused(hospital: Hospital, tmp_path: Path) -> None:
    stranger = Authority.made(tmp_path, "Stranger").issue("scanner")
    with _serving(hospital.tls(), Disk()) as engine:
        assert _shakes_hands(engine.ports[0], _client(hospital, certificate=stranger)) == ""


def test_revoked_certificate_is_refused(hospital: Hospital, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    shutil.copytree(hospital.authority.folder, folder)
    authority = Authority(folder)
    revoked, kept = authority.issue("lost"), authority.issue("kept")
    with _serving(hospital.tls(crl_file=authority.revoke(revoked[0])), Disk()) as engine:
        assert _shakes_hands(engine.ports[0], _client(hospital, certificate=revoked)) == ""
        assert _shakes_hands(engine.ports[0], _client(hospital, certificate=kept))


@pytest.mark.interop
def test_title_is_bound_to_its_certificate(hospital: Hospital) -> None:
    for certificate, expected in ((hospital.scanner[0], 0), (hospital.own[0], 1)):
        peer = SCANNER.model_copy(
            update={"certificate_sha256": fingerprint(certificate).replace(":", "").lower()}
        )
        with _serving(hospital.tls(), Disk(), peer) as engine:
            done = _dcmtk("echoscu", engine.ports[0], hospital)
            assert bool(done.returncode) == bool(expected), done.stderr


def test_plain_association_gets_no_answer_on_a_secure_port(hospital: Hospital) -> None:
    with _serving(hospital.tls(), Disk()) as engine:
        peer = Peer(name="m", ae_title="MEDAET", host="127.0.0.1", port=engine.ports[0])
        assert not is_answered(peer)


@pytest.mark.interop
def test_plain_port_stays_beside_a_secure_one(hospital: Hospital, free_port: int) -> None:
    disk = Disk()
    with _serving(hospital.tls(port=free_port), disk) as engine:
        plain, secure = engine.ports
        assert secure == free_port
        assert is_answered(Peer(name="m", ae_title="MEDAET", host="127.0.0.1", port=plain))
        assert _dcmtk("storescu", secure, hospital, sample()).returncode == 0
    assert len(disk.files) == 1


@pytest.mark.interop
@pytest.mark.parametrize("word", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_silent_clients_of_a_secure_port_keep_nobody_out(hospital: Hospital, word: bytes) -> None:
    with contextlib.ExitStack() as stack, _serving(hospital.tls(), Disk()) as engine:
        for _ in range(40):
            silent = socket.create_connection(("127.0.0.1", engine.ports[0]))
            stack.enter_context(silent)
            if word:
                silent.sendall(word)
        started = time.monotonic()
        assert _dcmtk("echoscu", engine.ports[0], hospital).returncode == 0
        assert time.monotonic() - started < 5


def test_reload_reads_certificates_and_peers_again(hospital: Hospital, tmp_path: Path) -> None:
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    for source, target in zip(hospital.own, (certificate, key), strict=True):
        shutil.copy(source, target)
    tls = hospital.tls(cert_file=certificate, key_file=key)
    context = _client(hospital, certificate=hospital.scanner)
    with _serving(tls, Disk()) as engine:
        assert _shown(engine.ports[0], context) == fingerprint(certificate)
        for source, target in zip(hospital.authority.issue("new"), (certificate, key), strict=True):
            shutil.copy(source, target)
        listener = Listener(ae_title="RENAMED", tls=tls)
        engine.reload(listener, [SCANNER])
        assert _shown(engine.ports[0], context) == fingerprint(
            hospital.authority.folder / "new.pem"
        )
        key.write_text("no key")
        with pytest.raises(ConfigError, match="key_file"):
            engine.reload(Listener(tls=tls), [SCANNER])
        assert _shakes_hands(engine.ports[0], context)


def _shown(port: int, context: ssl.SSLContext) -> str:
    """Return the fingerprint of the certificate that a server shows."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        certificate = secure.getpeercert(binary_form=True)
    assert certificate is not None
    digest = hashlib.sha256(certificate).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, 64, 2))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cert_file": "/none.pem"}, "cert_file and key_file"),
        ({"ca_file": "/none.pem"}, "ca_file"),
        ({"crl_file": "/none.pem"}, "crl_file"),
    ],
    ids=["certificate", "authorities", "revoked"],
)
def test_file_that_cannot_be_used_is_named(
    hospital: Hospital, values: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        server_context(hospital.tls(**values))


def test_encrypted_key_is_refused_rather_than_asked_for(hospital: Hospital, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    subprocess.run(
        [
            *(system_program("openssl"), "ec", "-in", str(hospital.own[1])),
            *("-aes256", "-passout", "pass:secret", "-out", str(locked)),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    with pytest.raises(ConfigError, match="encrypted"):
        server_context(hospital.tls(key_file=locked))


def test_client_certificates_need_an_authority(hospital: Hospital) -> None:
    with pytest.raises(ValidationError, match="ca_file"):
        hospital.tls(ca_file=None)
    assert hospital.tls(ca_file=None, require_client_cert=False)


def test_fallback_engine_speaks_no_tls(hospital: Hospital) -> None:
    with pytest.raises(ValidationError, match="engine"):
        Listener(engine="pynetdicom", tls=hospital.tls())


def test_handshake_that_fails_is_logged_without_alarm(hospital: Hospital) -> None:
    with capture_logs() as events, _serving(hospital.tls(), Disk()) as engine:
        with socket.create_connection(("127.0.0.1", engine.ports[0])) as stranger:
            stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        wait_for(lambda: any(one["event"] == "connection.dropped" for one in events))
    [dropped] = [one for one in events if one["event"] == "connection.dropped"]
    assert "no TLS" in dropped["reason"]
    assert dropped["log_level"] == "debug"
