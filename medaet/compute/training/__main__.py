"""Training in a process of its own, which `medaet train` and the training agent start.

Run as `python -P -m medaet.compute.training CONFIG --out DIR [--device D]... [--fresh]`; progress is JSON, a line each.
"""

import argparse
import os
import sys
from pathlib import Path

import structlog

from medaet import logs
from medaet.compute.training.distributed import exit_with_parent
from medaet.compute.training.prepare import fresh
from medaet.compute.training.train import train
from medaet.config.training import load_training
from medaet.errors import ConfigError, MedaetError

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
    if options.agent is not None:
        exit_with_parent(options.agent)
        os.nice(NICENESS)  # the clinic's own work comes first
    if options.processor:
        os.sched_setaffinity(0, options.processor)
    try:
        config = load_training(options.config)
        if options.fresh:
            fresh(options.out)
        train(config, options.out, options.device or ["cpu"], _say)
    except MedaetError as error:
        log.error("training.failed", error=type(error).__name__, reason=str(error))
        return WRONG_USAGE if isinstance(error, ConfigError) else FAILED
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
