"""Checks of the host: Python, the kernel's limits, and what isolates plugins."""

import platform
import resource
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

from medaet.cli.checks.line import Line, ok, warn
from medaet.config.model import Config

FILES_AN_ASSOCIATION = 4
SPARE_FILES = 256
FIRST_SAFE_SQLITE = (3, 51, 3)
ISOLATE = "import os; from medaet.worker.isolation import isolate; print(isolate(os.getppid()))"


def check_host(config: Config) -> Iterator[Line]:
    """Look at Python, SQLite, acknowledgements, open files and namespaces."""
    yield ok("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield _sqlite(config)
    yield _acknowledgements()
    yield _open_files(config)
    yield _isolation()


def _sqlite(config: Config) -> Line:
    found = sqlite3.sqlite_version
    if (
        not config.database_url.startswith("sqlite")
        or sqlite3.sqlite_version_info >= FIRST_SAFE_SQLITE
    ):
        return ok("sqlite", found)
    return ok(
        "sqlite", f"{found}: one writer at a time, kept by a lock (releases before 3.51.3 need it)"
    )


def _acknowledgements() -> Line:
    if hasattr(socket, "TCP_QUICKACK"):
        return ok("TCP_QUICKACK", "available")
    return warn(
        "TCP_QUICKACK",
        "not available: senders with Nagle's algorithm wait 40 ms for each instance",
        "run on Linux, or set TCP_NODELAY at the senders",
    )


def _open_files(config: Config) -> Line:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = config.listener.maximum_associations * FILES_AN_ASSOCIATION + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return ok("open files", f"{soft} allowed, {needed} needed at most")
    return warn(
        "open files",
        f"{soft} allowed (at most {hard}), {needed} needed for listener.maximum_associations",
        "raise LimitNOFILE= of the unit, or `ulimit -n`",
    )


def _isolation() -> Line:
    """Try, in a process of its own, what the worker child does before it runs a plugin."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", ISOLATE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.stdout.strip() == "True":
        return ok("plugin isolation", "plugins run without network")
    return warn(
        "plugin isolation",
        "this host does not permit network namespaces: plugins could reach the network",
        "permit user namespaces (kernel.unprivileged_userns_clone=1), or use the units as shipped",
    )
