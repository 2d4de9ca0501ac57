"""Decoder processes: compressed series decoded on several cores, and a codec that crashes costs one image.

No decoder gains from threads: all hold Python's lock while they work.
"""

import contextlib
import json
import mmap
import os
import pickle
import select
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from medaet.dicom.decode import Stored
from medaet.dicom.decoder import LENGTH
from medaet.dicom.image import Image
from medaet.errors import InstanceError

SLOTS = 2
"""Images that one process holds: one that it decodes, and one that waits, so that it never does."""

MOST_PROCESSES = 8
SILENCE_SECONDS = 120.0
"""Longer than any image takes; then the codec hangs."""


class Decoders:
    """A pool of decoder processes, started when first needed; a context manager.

    Args:
        processes: How many; as many as there are cores by default, at most eight.
        silence_seconds: How long all of them may work without any result.
    """

    def __init__(
        self, processes: int | None = None, *, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        self._count = processes or min(len(os.sched_getaffinity(0)), MOST_PROCESSES)
        self._silence_seconds = silence_seconds
        self._processes: list[_Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def stored(self, images: Sequence[Image]) -> Iterator[tuple[int, Stored]]:
        """Read the stored values of images, whichever is ready first.

        Yields:
            The index of an image, and its pixels as `PixelReader.stored` returns them: in shared memory, and only until
            the next one is asked for.

        Raises:
            InstanceError: an image cannot be decoded, or ended or stopped the codec; the message names it.
        """
        try:
            yield from self._stored(images)
        except BaseException:
            self.close()  # images that nobody waits for are on their way
            raise

    @property
    def process_ids(self) -> list[int]:
        """The processes that run."""
        return [process.process_id for process in self._processes]

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()
        self._processes.clear()

    def _stored(self, images: Sequence[Image]) -> Iterator[tuple[int, Stored]]:
        waiting = deque(range(len(images)))
        slot_bytes = max(image.pixels.size_bytes for image in images)
        processes = self._started(min(self._count, len(images)))
        for process in processes:
            process.grow(slot_bytes)
        for slot in range(SLOTS):
            for process in processes:
                if waiting:
                    process.give(slot, waiting[0], images[waiting.popleft()])
        while busy := [process for process in processes if process.given]:
            for process in self._answering(busy, images):
                slot, index, stored = process.answer(images)
                yield index, stored
                if waiting:
                    process.give(slot, waiting[0], images[waiting.popleft()])

    def _started(self, count: int) -> list["_Process"]:
        while len(self._processes) < count:
            self._processes.append(_Process())
        return self._processes[:count]

    def _answering(self, busy: Sequence["_Process"], images: Sequence[Image]) -> list["_Process"]:
        """Wait until a process has answered, or ended."""
        ready, _, _ = select.select(busy, (), (), self._silence_seconds)
        if not ready:
            image = images[next(iter(busy[0].given.values()))]
            raise InstanceError(
                f"the decoder did not answer for {self._silence_seconds:g} s; "
                f"send the series uncompressed ({image.name})"
            )
        return list(ready)


class _Process:
    """One decoder process.

    Attributes:
        given: Index of the image in each slot that is being worked on, in the order given.
    """

    def __init__(self) -> None:
        self.given: dict[int, int] = {}
        self._memory = os.memfd_create("medaet-decoder", os.MFD_CLOEXEC)
        self._slots: mmap.mmap | None = None
        self._slot_bytes = 0
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "medaet.dicom.decoder", "--fd", str(self._memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # codecs print what they like
            pass_fds=(self._memory,),
            bufsize=0,  # what is buffered here, select would not see
        )

    @property
    def process_id(self) -> int:
        """Its process id."""
        return self._process.pid

    def fileno(self) -> int:
        """The pipe that answers come through."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def grow(self, slot_bytes: int) -> None:
        """Make the slots large enough."""
        if slot_bytes > self._slot_bytes:
            self._slot_bytes = slot_bytes
            os.ftruncate(self._memory, SLOTS * slot_bytes)
            self._slots = mmap.mmap(self._memory, SLOTS * slot_bytes)

    def give(self, slot: int, index: int, image: Image) -> None:
        """Ask for one image."""
        content = pickle.dumps((image, slot, self._slot_bytes))
        self.given[slot] = index
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended; `answer` says so
            self._process.stdin.write(LENGTH.pack(len(content)) + content)

    def answer(self, images: Sequence[Image]) -> tuple[int, int, Stored]:
        """Return the slot, the index and the pixels of the image that is ready."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            image = images[next(iter(self.given.values()))]
            raise InstanceError(
                f"the image ended the decoder ({self._end()}); send it again, or the series "
                f"uncompressed ({image.name})"
            )
        said: dict[str, Any] = json.loads(line)
        index = self.given.pop(said["slot"])
        if "error" in said:
            raise InstanceError(said["error"])
        return said["slot"], index, self._pixels(said, images[index])

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._process.wait()
        os.close(self._memory)

    def _pixels(self, said: dict[str, Any], image: Image) -> Stored:
        pixels = image.pixels
        assert self._slots is not None
        found: Stored = np.frombuffer(
            self._slots,
            np.dtype(said["dtype"]),
            pixels.rows * pixels.columns,
            int(said["slot"]) * self._slot_bytes,
        )
        return found.reshape(pixels.rows, pixels.columns)

    def _end(self) -> str:
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        return f"signal {-status}" if status < 0 else f"exit status {status}"
