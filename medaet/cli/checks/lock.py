"""Whether a process of the daemon runs here: it holds a lock file of its role in the spool."""

import fcntl
from pathlib import Path


def is_held(lock: Path) -> bool:
    """Whether somebody holds a lock file."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
