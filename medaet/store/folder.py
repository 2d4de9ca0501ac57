"""A folder of received instances: the names of files in it, and one sync for all who need theirs to survive."""

import os
import threading
from concurrent.futures import Executor, Future
from pathlib import Path

FILES_A_FOLDER = 4096


class Folder:
    """A folder that one process fills; safe to use from many threads.

    Args:
        path: Where it is; it exists.
        relative: The same, relative to the spool.
        syncer: Runs syncs, one after another, beside those who wait for them.
    """

    def __init__(self, path: Path, relative: str, syncer: Executor) -> None:
        self.relative = relative
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._numbers = iter(range(1, FILES_A_FOLDER + 1))
        self._syncer = syncer
        self._lock = threading.Lock()
        self._next: Future[None] | None = None

    def next_name(self) -> str | None:
        """Return a name that no file has yet; None when the folder is full."""
        number = next(self._numbers, None)
        return None if number is None else f"{number:04x}.dcm"

    def begin_sync(self) -> Future[None]:
        """Begin to make the names that it holds now survive a power cut; all who ask before it begins share a sync.

        Returns:
            Done when they do; it raises OSError when the file system could not do it.
        """
        with self._lock:
            if self._next is None:
                self._next = self._syncer.submit(self._sync)
            return self._next

    def _sync(self) -> None:
        with self._lock:
            self._next = None  # names given from here on may come too late for this one
        os.fsync(self.descriptor)

    def __del__(self) -> None:
        os.close(self.descriptor)
