"""What plugin code does beside computing, told by audit events: connections, files written, programs run."""

import os
import sys
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
NETWORK = frozenset({"socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"})


def watch(log: Path, allowed: list[Path]) -> None:
    """Write a line for each event of interest from now on; it cannot be undone in this process.

    Args:
        log: Gets "network", "write" or "program" and what was touched.
        allowed: Folders in which files may be written.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    roots = [str(path) for path in allowed]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        line = _line(event, arguments, roots)
        if line:
            os.write(descriptor, f"{line}\n".encode())

    sys.addaudithook(hook)


def _line(event: str, arguments: tuple[object, ...], roots: list[str]) -> str:
    if event in NETWORK:
        return f"network {event.removeprefix('socket.')}"
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        return f"program {Path(os.fsdecode(arguments[0])).name}"  # type: ignore[arg-type]
    if event == "open" and isinstance(arguments[0], str | bytes):
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        path = os.path.realpath(os.fsdecode(arguments[0]))
        ours = (
            "/dev/",
            f"/proc/{os.getpid()}/",
        )  # devices, and what the kernel keeps of this process
        if flags & WRITES and not path.startswith(ours) and not _within(path, roots):
            return f"write {path}"
    return ""


def _within(path: str, roots: list[str]) -> bool:
    return any(path == root or path.startswith(f"{root}{os.sep}") for root in roots)
