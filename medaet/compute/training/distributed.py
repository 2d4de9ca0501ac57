"""A run on several devices: one process for each, started by the first."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from medaet.compute.training.place import Place

MODULE = "medaet.compute.training.rank"


@contextlib.contextmanager
def others(folder: Path, devices: Sequence[str]) -> Iterator[tuple[Place, Path]]:
    """Start a process for each device but the first, and end what is left of them.

    Args:
        folder: Of the prepared run.
        devices: In torch's spelling; the first is this process' own.

    Yields:
        The place of this process, and the file where they meet.
    """
    with tempfile.TemporaryDirectory(prefix="medaet-training-") as scratch:
        meeting = Path(scratch) / "meeting"
        processes = [
            _start(folder, meeting, Place(device, rank, len(devices)))
            for rank, device in enumerate(devices)
            if rank
        ]
        try:
            yield Place(devices[0], 0, len(devices)), meeting
            for process in processes:
                process.wait(60)
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _start(folder: Path, meeting: Path, place: Place) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", MODULE, str(folder), str(meeting)]
    command += [place.device, str(place.rank), str(place.world), str(os.getpid())]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
