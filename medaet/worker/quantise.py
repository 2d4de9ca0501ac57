"""Quantising in a process of its own, which has no network and outlives nobody.

python -P -m medaet.worker.quantise FOLDER OUT --agent PID

FOLDER holds NAME.onnx and a folder NAME of windows for each network, as a child wrote them that was asked to.
"""

import argparse
import json
import sys
from pathlib import Path

from medaet.compute.engines.quantise import quantise
from medaet.errors import EngineError
from medaet.worker.isolation import isolate


def main() -> None:
    """Isolate this process and quantise; what went wrong is JSON on standard output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--agent", type=int, required=True)
    options = parser.parse_args()
    isolate(options.agent)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        for network in sorted(options.folder.glob("*.onnx")):
            quantise(network, network.with_suffix(""), options.out / network.name)
    except EngineError as error:
        sys.stdout.write(json.dumps({"reason": str(error)}))
        sys.exit(1)


if __name__ == "__main__":
    main()
