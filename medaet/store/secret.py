"""The key under which patients are hashed: made once for a spool, readable by the daemon alone."""

import os
import secrets
from pathlib import Path

from medaet.errors import ConfigError

NAME = "patient.key"
LENGTH_BYTES = 32
MODE = 0o600


def patient_key(spool: Path) -> bytes:
    """Read the key of a spool, or make it.

    Whoever has the database but not this file cannot find out whose series they are, not even by trying every ID.
    Series are matched only under one key: hosts that share a database need to share this file.

    Raises:
        ConfigError: the file is there, but is no key.
    """
    path = spool / NAME
    if not path.exists():
        _make(path)
    key = path.read_bytes()
    if len(key) != LENGTH_BYTES:
        raise ConfigError(
            f"spool.path: {path} should hold {LENGTH_BYTES} bytes, but holds {len(key)}; restore it "
            "from a backup, or remove it and lose the pairs of series that wait"
        )
    return key


def _make(path: Path) -> None:
    """Write a key under another name and link it in: of two processes that make one, one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(LENGTH_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(part)
    except FileExistsError:
        pass
    finally:
        part.unlink()
