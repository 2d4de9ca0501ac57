"""Packing a model in a process of its own: what its files may run, runs without network and outlives nobody.

Run as `python -P -m medaet.worker.pack SOURCE FOLDER --agent PID`; the manifest lies in FOLDER and is completed there.
"""

import argparse
import json
import sys
from pathlib import Path

from medaet.errors import MedaetError, PluginError
from medaet.plugin.case import copy_cases
from medaet.plugin.model import digests, read_model, write_model
from medaet.plugin.registry import discover
from medaet.worker.isolation import isolate


def pack(source: Path, folder: Path, modules: list[str]) -> None:
    """Let the kind of a model write its files, then pin them.

    Raises:
        PluginError: the files cannot be used.
    """
    model = read_model(folder)
    kind = discover(modules).kinds.get(model.kind)
    if kind is None:
        raise PluginError(f"no plugin packs models of kind {model.kind!r}")
    kind.pack(source, folder, model)
    copy_cases(source, folder)
    write_model(model.model_copy(update={"files": digests(folder)}), folder)


def main() -> None:
    """Isolate this process and pack; the error, if there is one, is JSON on standard output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--agent", type=int, required=True)
    parser.add_argument("--module", action="append", default=[])
    options = parser.parse_args()
    isolate(options.agent)
    try:
        pack(options.source, options.folder, options.module)
    except MedaetError as error:
        sys.stdout.write(json.dumps({"error": type(error).__name__, "reason": str(error)}))
        sys.exit(1)


if __name__ == "__main__":
    main()
