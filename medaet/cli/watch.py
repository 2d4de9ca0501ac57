"""`medaet run --watch`: the same run again, in new processes with the new code, whenever the plugin's files change."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import typer

from medaet.plugin.analysis import Analysis
from medaet.plugin.model_analysis import ModelAnalysis

POLL_SECONDS = 0.3
OPTION = "--watch"

Signature = frozenset[tuple[str, int, int]]


def watched(analysis: type[Analysis]) -> None:
    """Run as the command line says, and again after every change, until interrupted.

    A run that fails, even where the module cannot be imported, says why and is not the end: a change may mend it.
    """
    roots = list(sources(analysis))
    command = [
        sys.executable,
        "-P",
        "-m",
        "medaet",
        *(one for one in sys.argv[1:] if one != OPTION),
    ]
    path = {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
    try:
        while True:
            before = signature(roots)  # a change during the run counts
            subprocess.run(command, check=False, env={**os.environ, **path})
            names = ", ".join(one.name for one in roots)
            typer.echo(f"waiting for a change of {names}; Ctrl-C ends", err=True)
            while signature(roots) == before:
                time.sleep(POLL_SECONDS)
            typer.echo("changed: running again", err=True)
    except KeyboardInterrupt:
        typer.echo("")


def sources(analysis: type[Analysis]) -> Iterator[Path]:
    """Yield the folders and files that decide what an analysis does."""
    if issubclass(analysis, ModelAnalysis):
        yield analysis.folder
        return
    module = sys.modules[analysis.__module__]
    top = sys.modules.get(analysis.__module__.partition(".")[0], module)
    if getattr(top, "__path__", None):
        yield Path(str(top.__file__)).parent
        return
    yield Path(str(module.__file__))
    for name in analysis.resources:
        yield analysis.resource(name)


def signature(roots: list[Path]) -> Signature:
    """Return what changes whenever a file is written, added or removed; caches and hidden files do not count."""
    found = set()
    for root in roots:
        paths = root.rglob("*") if root.is_dir() else (root,)
        for path in paths:
            if "__pycache__" in path.parts or path.name.startswith("."):
                continue
            try:
                status = path.stat()
            except OSError:  # it went, or an editor is just replacing it
                continue
            if path.is_file():
                found.add((str(path), status.st_mtime_ns, status.st_size))
    return frozenset(found)
