"""Who may enter the dashboard: a name, a role and a hashed password in each line of a file.

    NAME ROLE scrypt LOG2_N R P SALT HASH

The salt and the hash are hexadecimal (RFC 7914). Whoever reads the file cannot log in with it.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from medaet.errors import ConfigError

MODE = 0o640
OPEN_TO_OTHERS = 0o037
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1024
_LOG2_N, _R, _P = 15, 8, 1
_MOST_MEMORY = 128 * 1024 * 1024
_SALT_BYTES, _HASH_BYTES = 16, 32
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


class WebRole(StrEnum):
    """What somebody may do in the dashboard.

    Attributes:
        VIEW: Look at everything.
        OPERATE: Retry and bury as well.
    """

    VIEW = "view"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class User:
    """One who may enter.

    Attributes:
        secret: The algorithm, its parameters, the salt and the hash; changes with every new password.
    """

    name: str
    role: WebRole
    secret: str


def hashed_password(password: str) -> str:
    """Return what is kept of a password.

    Raises:
        ConfigError: it is too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ConfigError(
            f"a password takes {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; choose another"
        )
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = _scrypt(password, salt, _LOG2_N, _R, _P)
    return f"scrypt {_LOG2_N} {_R} {_P} {salt.hex()} {digest.hex()}"


NOBODY = User("nobody", WebRole.VIEW, f"scrypt {_LOG2_N} {_R} {_P} {'0' * 32} {'0' * 64}")
"""Stands in for an unknown name, so that refusing it takes as long; no password fits."""


def fits(user: User, password: str) -> bool:
    """Whether a password is that of a user; takes a tenth of a second and 32 MB, whoever it is."""
    _, log2_n, r, p, salt, expected = user.secret.split()
    found = _scrypt(password[:LONGEST_PASSWORD], bytes.fromhex(salt), int(log2_n), int(r), int(p))
    return hmac.compare_digest(found, bytes.fromhex(expected))


class Users:
    """The file of users; read anew whenever it is asked, so that a running dashboard needs no restart.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> dict[str, User]:
        """Return everybody, by name; nobody when there is no file.

        Raises:
            ConfigError: it is open to others, cannot be read, or has a line that is no user.
        """
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read().decode("utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ConfigError(f"web.users_file: {self.path} cannot be read: {reason}") from error
        if mode & OPEN_TO_OTHERS:
            raise ConfigError(
                f"web.users_file: {self.path} is open to others; `chmod 640 {self.path}`"
            )
        lines = enumerate(text.splitlines(), start=1)
        found = [self._user(line, number) for number, line in lines if line.strip()]
        return {one.name: one for one in found}

    def keep(self, name: str, role: WebRole, password: str) -> None:
        """Let somebody in, or give somebody another password or role.

        Raises:
            ConfigError: the name or the password cannot be taken, or the file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is no name for a user: lower case letters, digits, dots, hyphens, at most 32"
            )
        self._write({**self.all(), name: User(name, role, hashed_password(password))})

    def remove(self, name: str) -> None:
        """Keep somebody out from now on; sessions end with the next request.

        Raises:
            ConfigError: there is nobody of that name, or the file cannot be written.
        """
        users = self.all()
        if name not in users:
            known = ", ".join(sorted(users)) or "nobody"
            raise ConfigError(f"there is no user {name!r}; known are: {known}")
        del users[name]
        self._write(users)

    def _user(self, line: str, number: int) -> User:
        try:
            name, role, secret = line.split(maxsplit=2)
            algorithm, log2_n, r, p, salt, digest = secret.split()
            sound = (
                _NAME.fullmatch(name)
                and algorithm == "scrypt"
                and (1 << int(log2_n)) * int(r) * int(p) * 128 <= _MOST_MEMORY
                and len(bytes.fromhex(salt)) == _SALT_BYTES
                and len(bytes.fromhex(digest)) == _HASH_BYTES
            )
            user = User(name, WebRole(role), secret)
        except ValueError:
            sound = None
        if not sound:
            raise ConfigError(
                f"web.users_file: {self.path}:{number} is no user; write it by `medaet web password`"
            )
        return user

    def _write(self, users: Mapping[str, User]) -> None:
        """Put another file in the place of this one, owned by whoever owns the folder."""
        part = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        text = "".join(f"{one.name} {one.role} {one.secret}\n" for one in users.values())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                owner = self.path.parent.stat()
                if os.geteuid() == 0:  # as root for the daemon's user, who has to read it
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ConfigError(
                f"web.users_file: {self.path} cannot be written: {error.strerror}"
            ) from error


def _scrypt(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=1 << log2_n,
        r=r,
        p=p,
        maxmem=_MOST_MEMORY,
        dklen=_HASH_BYTES,
    )
