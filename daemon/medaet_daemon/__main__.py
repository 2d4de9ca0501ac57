"""`medaetd`: read the configuration, then be the supervisor or one of its processes."""

import argparse
import os
import sys
from pathlib import Path

import structlog

from medaet import logs
from medaet.config.load import load
from medaet.errors import ConfigError, MedaetError
from medaet_daemon import app

log = structlog.get_logger()


def main() -> None:
    """Run the daemon; exit 0 after a clean stop, 2 for a wrong configuration, 1 for anything else."""
    parser = argparse.ArgumentParser(prog="medaetd", description="The MedAET daemon.")
    parser.add_argument("--config", type=Path, default=None, help="medaet.toml")
    parser.add_argument(
        "--role",
        choices=("all", "receive", "pipeline", "worker", "training", "web"),
        default="all",
        help="what to run",
    )
    parser.add_argument("--device", default=None, help="with --role worker: the one device to use")
    parser.add_argument("--pulse-fd", type=int, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--verbose", action="store_true", help="also log debug events")
    options = parser.parse_args()
    logs.set_up(verbose=options.verbose)
    named = options.config or os.environ.get("MEDAET_CONFIG")
    path = Path(named) if named else None
    try:
        config = load(path)
        status = app.run(config, options.role, options.device, options.pulse_fd, path)
    except ConfigError as error:
        sys.stderr.write(f"medaetd: {error}\n")
        status = 2
    except MedaetError as error:
        sys.stderr.write(f"medaetd: {error}\n")
        log.error("daemon.failed", error=type(error).__name__, reason=str(error))
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
