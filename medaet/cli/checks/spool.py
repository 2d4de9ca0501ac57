"""Checks of the spool: its file system, its space, and how long a synced instance takes."""

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from medaet.cli.checks.line import Line, fail, ok, warn
from medaet.config.model import Config
from medaet.errors import OutOfSpaceError
from medaet.store.arrivals import Arrivals
from medaet.store.files import Spool

NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"})
MOUNTS = Path("/proc/mounts")
TRIALS = 5
INSTANCE_BYTES = 530_000
SLOW_SECONDS = 0.02


def check_spool(config: Config) -> Iterator[Line]:
    """Look at the folder, its file system and its speed."""
    path = config.spool.path.absolute()
    try:
        spool = Spool(path, minimum_free_bytes=config.spool.minimum_free_bytes)
    except OutOfSpaceError as error:
        yield fail("spool", str(error), "make the folder, owned by the user that runs medaetd")
        return
    yield _file_system(config, path)
    yield _space(config, path)
    yield _speed(spool)


def file_system_of(path: Path) -> str:
    """Return the type of the file system that holds a path; "unknown" where the kernel does not tell."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    mounts = [line.split()[1:3] for line in lines]
    holding = [(len(at), kind) for at, kind in mounts if path.is_relative_to(at)]
    return max(holding, default=(0, "unknown"))[1]


def _file_system(config: Config, path: Path) -> Line:
    kind = file_system_of(path)
    if kind in NETWORK_FILE_SYSTEMS and config.database_url.startswith("sqlite"):
        return fail(
            "file system",
            f"{path} is on {kind}; SQLite's locks do not work there",
            "put the spool on a local disk, or use PostgreSQL",
        )
    if kind == "tmpfs":
        return warn("file system", f"{path} is in memory", "use a disk: a restart loses everything")
    return ok("file system", f"{path} is on {kind}")


def _space(config: Config, path: Path) -> Line:
    free, least = shutil.disk_usage(path).free, config.spool.minimum_free_bytes
    told = f"{free / 1e9:.1f} GB free, {least / 1e9:.1f} GB are always kept free"
    if free <= least:
        return fail("disk space", told, "make room, or lower spool.minimum_free_bytes")
    if free < 2 * least:
        return warn("disk space", told, "make room, or lower retention.keep_days")
    return ok("disk space", told)


def _speed(spool: Spool) -> Line:
    """Store instances of a CT slice's size as the receiver does, and remove them."""
    arrivals, seconds = Arrivals(spool), []
    try:
        for number in range(TRIALS):
            started = time.monotonic()
            arrival = arrivals.open()
            arrival.write([bytes([number]), os.urandom(INSTANCE_BYTES)])
            stored = arrival.settle()
            seconds.append(time.monotonic() - started)
            arrival.discard()
        spool.path(stored.path).parent.rmdir()
    except OutOfSpaceError as error:
        return fail("disk speed", str(error), "mend the file system")
    median = statistics.median(seconds)
    told = f"{median * 1000:.1f} ms for one synced CT slice"
    if median > SLOW_SECONDS:
        return warn(
            "disk speed", told, "use a disk with a cache that survives power cuts, or expect queues"
        )
    return ok("disk speed", told)
