"""The process that started this one: when it dies, this one ends, so that none is left behind."""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""


def die_with_parent(parent: int | None = None, *, number: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel for a signal when the parent dies.

    Args:
        parent: Its process id, where it is known: if it died before the kernel knew of the wish, this process ends now.
        number: The signal.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
