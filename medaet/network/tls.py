"""TLS for the storage SCP (PS3.15 Annex B): contexts from files, and who it was that showed a certificate."""

import hashlib
import ssl
from pathlib import Path

from medaet.config.model import ListenerTls
from medaet.errors import ConfigError

CIPHERS = {
    "B.12": "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:!aNULL:!eNULL:!SHA1",
    "B.13": "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!eNULL:!SHA1",
}
"""Cipher suites of TLS 1.2 by profile; those of TLS 1.3 are all authenticated encryption.

Source:
    PS3.15 §B.12 (RFC 8996, RFC 9325) and §B.13, which takes authenticated encryption only.
"""


def server_context(tls: ListenerTls) -> ssl.SSLContext:
    """Read the certificates.

    Raises:
        ConfigError: a file cannot be read, is no certificate or key, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS[tls.profile])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise _unusable("cert_file and key_file", (tls.cert_file, tls.key_file), error) from error
    for name, file in (("ca_file", tls.ca_file), ("crl_file", tls.crl_file)):
        if file is None:
            continue
        try:
            context.load_verify_locations(file)
        except OSError as error:
            raise _unusable(name, (file,), error) from error
    if tls.crl_file is not None:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if tls.ca_file is not None:
        required = tls.require_client_cert
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def fingerprint(connection: ssl.SSLSocket) -> str | None:
    """Return the SHA-256 of the peer's certificate in hexadecimal; None when it showed none."""
    certificate = connection.getpeercert(binary_form=True)
    return hashlib.sha256(certificate).hexdigest() if certificate else None


def _no_password() -> str:
    raise ValueError("the key is encrypted, and there is nobody to ask for its password")


def _unusable(name: str, files: tuple[Path, ...], error: Exception) -> ConfigError:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return ConfigError(
        f"listener.tls.{name}: {', '.join(map(str, files))} cannot be used: {reason}; "
        "give PEM files that the user medaet may read"
    )
