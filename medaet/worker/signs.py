"""Signs of life of a child: its messages, and the processor's time it takes while it works on a run."""

import contextlib
import os
import select
import socket
from pathlib import Path

from medaet.errors import ChildTimeoutError

BUSY_SHARE = 0.02
"""Of one core: threads that wait for Python's lock take less, and a child that computes takes more even on a host
that has too much to do."""

_TICKS = os.sysconf("SC_CLK_TCK")


def await_sign(
    channel: socket.socket, process_id: int, silence_seconds: float, *, working: bool
) -> None:
    """Wait until there is a message to receive, or the other end is gone.

    A single native call may hold Python's lock, without which a child sends nothing, for longer than the silence it
    is granted; while a run keeps it busy it is not silent. The time limit of the run bounds that.

    Args:
        channel: To the child.
        process_id: Of the child.
        silence_seconds: How long it may send nothing, and not be busy.
        working: Whether it has begun a run, and not computed it.

    Raises:
        ChildTimeoutError: it fell silent.
    """
    waiting = select.poll()
    waiting.register(channel, select.POLLIN)
    before = processor_seconds(process_id)
    while not waiting.poll(silence_seconds * 1000):
        now = processor_seconds(process_id)
        if not working or now - before < BUSY_SHARE * silence_seconds:
            raise ChildTimeoutError("the worker child stopped answering")
        before = now


def processor_seconds(process_id: int) -> float:
    """Return the processor's time a process has taken, in user and system mode (proc(5), stat); 0 when it is gone."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()  # the name before it may hold anything
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0
