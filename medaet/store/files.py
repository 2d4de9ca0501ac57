"""The spool: instance files that are complete and synced before anyone hears of them.

    in/*.part                                      being written; removed at the next start
    instances/<aa>/<sha256 of the UID>/<sha256 of the bytes>.dcm
    work/<job>/<attempt>/                          volumes and whatever the worker child writes
    findings/<job>/<attempt>/                      kept until the results are proven
    results/<job>/<sha256 of the UID>.dcm

Names are hashes and numbers: nothing that a peer sends becomes part of a path.
"""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medaet.dicom.identity import InstanceHeader, hashed
from medaet.errors import OutOfSpaceError

Buffer = bytes | bytearray | memoryview

FILE_MODE = 0o640
FOLDER_MODE = 0o750
BUFFERS_A_CALL = 512  # below IOV_MAX, which is 1024 on Linux
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


class Spool:
    """The folder that holds instances, findings and results.

    Args:
        root: The spool's folder; made when it is missing.
        minimum_free_bytes: What instances must leave free, so that the database can still commit.
        durable: Whether an instance survives a power cut once `put` returns; False is mode `crash`
            of the listener.
    """

    def __init__(self, root: Path, *, minimum_free_bytes: int = 0, durable: bool = True) -> None:
        self.root = root
        self._minimum_free_bytes = minimum_free_bytes
        self._durable = durable
        self._incoming = root / "in"
        self._synced: set[Path] = set()
        with _explained(root):
            self._incoming.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            if durable:
                _sync(root)
                _sync(root.parent)

    def put(self, header: InstanceHeader, content: Sequence[Buffer]) -> StoredFile:
        """Store one received instance.

        Args:
            header: Of the instance; its SOP Instance UID decides the folder.
            content: A whole file (PS3.10 §7), in pieces, in order.

        Raises:
            OutOfSpaceError: the file system has no room, keeps no reserve, or cannot be written.
        """
        name = hashed(header.sop_instance_uid)
        return self._store(Path("instances", name[:2], name), content, durable=self._durable)

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
        with _explained(self.root):
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size_bytes = os.fstat(file.fileno()).st_size
                os.fsync(file.fileno())
            self._place(path, self.root / target, durable=True)
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
        with _explained(self.root):
            parts = list(self._incoming.glob("*.part"))
            for part in parts:
                part.unlink(missing_ok=True)
        return len(parts)

    def _store(
        self, folder: Path, content: Sequence[Buffer], *, durable: bool, name: str | None = None
    ) -> StoredFile:
        size_bytes = sum(memoryview(piece).nbytes for piece in content)
        with _explained(self.root):
            self._check_space(size_bytes)
            with self._part() as part:
                sha256 = _write(part, content, durable=durable)
                target = folder / f"{name or sha256}.dcm"
                self._place(part, self.root / target, durable=durable)
        return StoredFile(path=str(target), sha256=sha256, size_bytes=size_bytes)

    def _place(self, part: Path, target: Path, *, durable: bool) -> None:
        """Give a complete file its name, and make that name survive."""
        folder, shelf = target.parent, target.parent.parent
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        part.rename(target)
        if not durable:
            return
        _sync(folder)
        _sync(shelf)
        if (
            shelf not in self._synced
        ):  # another process may have made it and not yet synced its name
            for above in shelf.relative_to(self.root).parents:
                _sync(self.root / above)
            self._synced.add(shelf)

    def _check_space(self, size_bytes: int) -> None:
        found = os.statvfs(self._incoming)
        free = found.f_bavail * found.f_frsize
        if free - size_bytes < self._minimum_free_bytes:
            raise OutOfSpaceError(
                f"the spool {self.root} has {free} bytes free and must keep "
                f"{self._minimum_free_bytes}; make room, or lower spool.minimum_free_bytes"
            )

    @contextlib.contextmanager
    def _part(self) -> Iterator[Path]:
        """Yield a name of which there is only one, and remove the file if it gets no other."""
        part = self._incoming / f"{secrets.token_hex(16)}.part"
        try:
            yield part
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _write(part: Path, content: Sequence[Buffer], *, durable: bool) -> str:
    """Write the pieces to a new file and return their SHA-256."""
    digest = hashlib.sha256()
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        for first in range(0, len(content), BUFFERS_A_CALL):
            pieces = [
                memoryview(piece).cast("B") for piece in content[first : first + BUFFERS_A_CALL]
            ]
            for piece in pieces:
                digest.update(piece)
            _write_all(descriptor, pieces)
        if durable:
            os.fsync(descriptor)  # never tried twice: Linux drops the pages that it failed to write
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _write_all(descriptor: int, pieces: list[memoryview]) -> None:
    """Write pieces in as few system calls as the kernel allows."""
    while pieces:
        written = os.writev(descriptor, pieces)
        while pieces and written >= len(pieces[0]):
            written -= len(pieces.pop(0))
        if pieces:
            pieces[0] = pieces[0][written:]


def sync_tree(folder: Path) -> None:
    """Make a folder, its files and its name survive a power cut."""
    with _explained(folder):
        for path in folder.iterdir():
            _sync(path)
        _sync(folder)
        _sync(folder.parent)


def _sync(path: Path) -> None:
    """Make a file's bytes, or a folder's entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(root: Path) -> Iterator[None]:
    """Turn what the file system says into an error of ours."""
    try:
        yield
    except OSError as error:
        remedy = "make room" if error.errno in NO_ROOM else "check the file system and its owner"
        raise OutOfSpaceError(
            f"the spool {root} cannot be written: {error.strerror}; {remedy}"
        ) from error
