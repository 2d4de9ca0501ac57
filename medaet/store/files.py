"""The spool: instance files that are complete and synced before anyone hears of them.

    in/*.part                             being written; removed at the next start
    instances/<random>/<number>.dcm       received; the instance table says which is which
    work/<job>/<attempt>/                 volumes and whatever the worker child writes
    findings/<job>/<attempt>/             kept until the results are proven
    results/<job>/<sha256 of the UID>.dcm

Names are numbers and hashes: nothing that a peer sends becomes part of a path.
"""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medaet.dicom.identity import hashed
from medaet.errors import OutOfSpaceError

Buffer = bytes | bytearray | memoryview

FILE_MODE = 0o640
FOLDER_MODE = 0o750
BUFFERS_A_CALL = 512  # below IOV_MAX, which is 1024 on Linux
LOW_FRACTION = 1.2
"""Below so many times the reserve, associations are rejected for now; below the reserve, instances are refused."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the spool.

    Attributes:
        path: Relative to the spool.
        sha256: Of the whole file, in hexadecimal.
    """

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file of the spool whose digest may not be known yet.

    Attributes:
        path: Relative to the spool.
        sha256: Of the whole file, in hexadecimal; None while nobody has computed it.
    """

    path: str
    size_bytes: int
    sha256: str | None = None


class Spool:
    """The folder that holds instances, findings and results.

    Args:
        root: The spool's folder; made when it is missing.
        minimum_free_bytes: What instances must leave free, so that the database can still commit.
        durable: Whether a received instance survives a power cut; False is mode `crash` of the listener.
    """

    def __init__(self, root: Path, *, minimum_free_bytes: int = 0, durable: bool = True) -> None:
        self.root = root
        self._minimum_free_bytes = minimum_free_bytes
        self.durable = durable
        self._incoming = root / "in"
        with explained(root):
            self._incoming.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            if durable:
                sync(root)
                sync(root.parent)

    def adopt_result(self, job_id: int, sop_instance_uid: str, path: Path) -> StoredFile:
        """Store one encoded result; it always survives a power cut, since its findings go next.

        Args:
            job_id: The job it belongs to.
            sop_instance_uid: Of the result; decides the name.
            path: The file, in the spool's file system; it moves.

        Raises:
            OutOfSpaceError: the file cannot be synced or named.
        """
        target = self.results(job_id).relative_to(self.root) / f"{hashed(sop_instance_uid)}.dcm"
        with explained(self.root):
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size_bytes = os.fstat(file.fileno()).st_size
                os.fsync(file.fileno())
            self._place(path, self.root / target)
        return StoredFile(path=str(target), sha256=sha256, size_bytes=size_bytes)

    def path(self, relative: str) -> Path:
        """Return where a path of the tables is on this host."""
        return self.root / relative

    def work(self, job_id: int, attempt: int) -> Path:
        """Return the scratch folder of one attempt; it may not exist yet."""
        return self.root / "work" / str(job_id) / str(attempt)

    def findings(self, job_id: int, attempt: int) -> Path:
        """Return the folder for the findings of one attempt; it may not exist yet."""
        return self.root / "findings" / str(job_id) / str(attempt)

    def results(self, job_id: int) -> Path:
        """Return the folder of a job's results; it may not exist yet."""
        return self.root / "results" / str(job_id)

    def recover(self) -> int:
        """Remove what was being written when the host went down, and say how many files that was.

        Nobody was told that these are stored. Call it only while no receiver runs.
        """
        with explained(self.root):
            parts = list(self._incoming.glob("*.part"))
            for part in parts:
                part.unlink(missing_ok=True)
        return len(parts)

    def new_part(self) -> str:
        """Return the path of a file that is not there yet, to be written and then renamed."""
        return f"{self._incoming}/{secrets.token_hex(16)}.part"

    def shortage(self) -> str | None:
        """Say that room is running out, a little before it has; None while there is enough."""
        free = self._free_bytes()
        if free >= self._minimum_free_bytes * LOW_FRACTION:
            return None
        return f"the spool has {free} bytes free"

    def check_space(self, size_bytes: int) -> None:
        """Make sure that so many bytes leave the reserve free.

        Raises:
            OutOfSpaceError: they do not.
        """
        free = self._free_bytes()
        if free - size_bytes < self._minimum_free_bytes:
            raise OutOfSpaceError(
                f"the spool {self.root} has {free} bytes free and must keep "
                f"{self._minimum_free_bytes}; make room, or lower spool.minimum_free_bytes"
            )

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._incoming).free

    def _place(self, part: Path, target: Path) -> None:
        """Give a complete file its name, and make that name survive."""
        folder = target.parent
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        part.rename(target)
        sync(folder)
        for above in folder.relative_to(self.root).parents:
            sync(self.root / above)


def write_all(descriptor: int, content: Sequence[Buffer]) -> int:
    """Write pieces in as few system calls as the kernel allows; return how many bytes they are."""
    size_bytes = 0
    for first in range(0, len(content), BUFFERS_A_CALL):
        pieces = list(content[first : first + BUFFERS_A_CALL])
        expected = sum(map(len, pieces))
        written = os.writev(descriptor, pieces)
        size_bytes += expected
        while written < expected:  # a disk that is nearly full takes a part
            pieces = _behind(pieces, written)
            expected -= written
            written = os.writev(descriptor, pieces)
    return size_bytes


def _behind(pieces: Sequence[Buffer], written: int) -> list[Buffer]:
    """Return what is left of pieces of which so many bytes are written."""
    left: list[Buffer] = []
    for piece in pieces:
        left.append(memoryview(piece)[written:])
        written = max(written - len(piece), 0)
    return [piece for piece in left if len(piece)]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        OutOfSpaceError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise OutOfSpaceError(
            f"the stored file {path} cannot be read: {error.strerror}; check the file system"
        ) from error


def sync_tree(folder: Path) -> None:
    """Make a folder, its files and its name survive a power cut."""
    with explained(folder):
        for path in folder.iterdir():
            sync(path)
        sync(folder)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class explained:  # noqa: N801 -- it reads as the sentence it is: with explained(root)
    """Turns what the file system says into an error of ours, for a block of statements."""

    __slots__ = ("_root",)

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, OSError):
            return
        remedy = "make room" if error.errno in NO_ROOM else "check the file system and its owner"
        raise OutOfSpaceError(
            f"the spool {self._root} cannot be written: {error.strerror}; {remedy}"
        ) from error
