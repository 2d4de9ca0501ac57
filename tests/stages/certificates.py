"""Certificates for tests of TLS, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from medaet.config.model import ListenerTls
from tests.peers import system_program


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority of our own, in a folder."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.pem"

    @classmethod
    def made(cls, folder: Path, name: str = "Hospital") -> "Authority":
        folder.mkdir(parents=True, exist_ok=True)
        _openssl(
            folder,
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN={name} CA"),
        )
        return cls(folder)

    def issue(self, name: str) -> tuple[Path, Path]:
        """Make a key and a certificate for localhost; return the certificate and the key."""
        _openssl(
            self.folder,
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        )
        _openssl(
            self.folder,
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out", f"{name}.pem"),
        )
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def revoke(self, certificate: Path) -> Path:
        """Write a list of revoked certificates with this one in it."""
        (self.folder / "index.txt").touch()
        (self.folder / "number").write_text("01\n")
        (self.folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\ncrlnumber=number\n"
            "default_md=sha256\ndefault_crl_days=2\n"
        )
        common = ("ca", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.pem")
        _openssl(self.folder, *common, "-revoke", str(certificate))
        _openssl(self.folder, *common, "-gencrl", "-out", "crl.pem")
        return self.folder / "crl.pem"


def fingerprint(certificate: Path) -> str:
    """Return the SHA-256 of a certificate as openssl shows it."""
    shown = _openssl(
        certificate.parent, "x509", "-noout", "-fingerprint", "-sha256", "-in", str(certificate)
    )
    return shown.partition("=")[2].strip()


@dataclass(frozen=True, slots=True)
class Hospital:
    """An authority, our certificate and a scanner's."""

    authority: Authority
    own: tuple[Path, Path]
    scanner: tuple[Path, Path]

    def tls(self, **values: object) -> ListenerTls:
        return ListenerTls.model_validate(
            {
                "cert_file": self.own[0],
                "key_file": self.own[1],
                "ca_file": self.authority.certificate,
                **values,
            }
        )


def _openssl(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [system_program("openssl"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
