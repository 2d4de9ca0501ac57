"""Training in a process of its own, which `medaet train` and the training agent start.

Run as `python -P -m medaet.worker.trainer CONFIG --out DIR [--device D]... [--fresh]`; progress is JSON, a line each.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

import structlog

from medaet import logs
from medaet.config.training import load_training
from medaet.errors import ConfigError, MedaetError
from medaet.parent import die_with_parent
from medaet.worker.candidates import certify

log = structlog.get_logger()

FAILED, WRONG_USAGE = 1, 2
NICENESS = 15


def main() -> int:
    """Train, and return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", action="append", default=[])
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--agent", type=int, help="end when this process does")
    parser.add_argument("--processor", type=int, action="append", help="a CPU core to use")
    options = parser.parse_args()
    logs.set_up()
    from medaet.compute.device import keep_memory
    from medaet.compute.training.prepare import fresh
    from medaet.compute.training.train import train

    if options.agent is not None:
        die_with_parent(options.agent)
        os.nice(NICENESS)  # the clinic's own work comes first
    if options.processor:
        os.sched_setaffinity(0, options.processor)
    keep_memory()
    try:
        config = load_training(options.config)
        if options.fresh:
            fresh(options.out)
        devices = options.device or ["cpu"]
        train(config, options.out, devices, _say, partial(certify, config.precisions, devices[0]))
    except MedaetError as error:
        log.error("training.failed", error=type(error).__name__, reason=str(error))
        return WRONG_USAGE if isinstance(error, ConfigError) else FAILED
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
