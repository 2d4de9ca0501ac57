"""Instances on their way into the spool: written as they arrive, named once they are whole, synced before the answer.

A file is `in/*.part` until its last byte is written, and has its final name before it is synced: so its bytes and its
name are synced side by side, and one commit of the file system's journal covers both. A power cut may therefore leave a
named file that is not whole; it has no row then, and nobody was told of it.
"""

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from medaet.errors import OutOfSpaceError
from medaet.store.files import (
    FILE_MODE,
    FOLDER_MODE,
    Buffer,
    ReceivedFile,
    Spool,
    explained,
    sync,
    write_all,
)
from medaet.store.folder import Folder

BYTES_A_CHECK = 64 * 1024 * 1024
"""How much is written of one instance before the free space is looked at again."""

HASHED_BYTES = 1024 * 1024


class Arrivals:
    """Where one process writes what it receives; safe to use from many threads.

    Args:
        spool: The spool.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.Lock()
        self._folder: Folder | None = None
        self._syncer = ThreadPoolExecutor(1, "syncer")

    def open(self) -> "Arrival":
        """Begin an instance.

        Raises:
            OutOfSpaceError: the file system has no room, keeps no reserve, or cannot be written.
        """
        with explained(self._spool.root):
            self._spool.check_space(0)
            return Arrival(self, self._spool)

    def place(self, part: str) -> tuple[Folder, str]:
        """Give a complete file its name; return its folder, and the name relative to the spool."""
        with self._lock:
            for _ in range(3):  # another one if this one is full, or was removed as it was empty
                folder = self._folder or self._new_folder()
                name = folder.next_name()
                if name is not None:
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(part, name, dst_dir_fd=folder.descriptor)
                        return folder, f"{folder.relative}/{name}"
                self._folder = None
        raise OutOfSpaceError(f"the spool {self._spool.root} loses its folders as they are made")

    def sync(self, folder: Folder, descriptor: int) -> None:
        """Make the bytes of a file, and the names in its folder, survive a power cut, in mode power-loss.

        Raises:
            OSError: the file system could not do it; neither may be relied on.
        """
        if not self._spool.durable:
            return
        names = folder.begin_sync()
        try:
            os.fdatasync(descriptor)  # never tried twice: Linux drops what it failed to write
        finally:
            try:
                names.result()
            except OSError:
                self._abandon(folder)
                raise

    def _abandon(self, folder: Folder) -> None:
        """Put nothing more into a folder whose names could not be synced: Linux says so only once."""
        with self._lock:
            if self._folder is folder:
                self._folder = None

    def _new_folder(self) -> Folder:
        shelf = self._spool.root / "instances"
        shelf.mkdir(mode=FOLDER_MODE, exist_ok=True)
        relative = f"instances/{secrets.token_hex(8)}"
        path = self._spool.root / relative
        path.mkdir(mode=FOLDER_MODE)
        if self._spool.durable:
            sync(shelf)
            sync(self._spool.root)
        self._folder = Folder(path, relative, self._syncer)
        return self._folder


class Arrival:
    """One instance that is being written; it ends with `settle` or `discard`."""

    def __init__(self, arrivals: Arrivals, spool: Spool) -> None:
        self.size_bytes = 0
        self._arrivals = arrivals
        self._spool = spool
        self._path = spool.new_part()
        self._check_at = BYTES_A_CHECK
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, FILE_MODE)

    def write(self, pieces: Sequence[Buffer]) -> None:
        """Add bytes.

        Raises:
            OutOfSpaceError: they cannot be written.
        """
        with explained(self._spool.root):
            if self.size_bytes > self._check_at:
                self._spool.check_space(0)
                self._check_at += BYTES_A_CHECK
            self.size_bytes += write_all(self._descriptor, pieces)

    def read(self, offset: int, length: int) -> bytes:
        """Return so many bytes from an offset on, or what there is of them."""
        return os.pread(self._descriptor, length, offset)

    def sha256(self) -> str:
        """Return the SHA-256 of what was written, in hexadecimal."""
        digest = hashlib.sha256()
        for offset in range(0, self.size_bytes, HASHED_BYTES):
            digest.update(self.read(offset, HASHED_BYTES))
        return digest.hexdigest()

    def settle(self) -> ReceivedFile:
        """Give the file its name and, in mode power-loss, make both survive a power cut.

        Raises:
            OutOfSpaceError: the file system could not do it.
        """
        with explained(self._spool.root):
            folder, name = self._arrivals.place(self._path)
            self._path = f"{self._spool.root}/{name}"
            self._arrivals.sync(folder, self._descriptor)
        return ReceivedFile(name, self.size_bytes)

    def close(self) -> None:
        """Leave the file where it is."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Leave nothing of it; does nothing once it is closed."""
        if self._descriptor < 0:
            return
        self.close()
        with contextlib.suppress(OSError):
            Path(self._path).unlink()
