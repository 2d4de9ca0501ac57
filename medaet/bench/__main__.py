"""Benchmarks in a process of their own, for commands that must not load torch: names in, JSON out.

python -P -m medaet.bench infer read [--quick] [--rounds N] [--device D]
"""

import argparse
import json
import sys
from dataclasses import asdict

from medaet.bench.infer import infer
from medaet.bench.read import read
from medaet.bench.report import Report
from medaet.errors import MedaetError


def main() -> int:
    """Run the benchmarks that were asked for; what runs now goes to standard error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="+", choices=("infer", "read"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    try:
        reports = [_run(name, options) for name in options.names]
    except MedaetError as error:
        _say(str(error))
        return 1
    print(json.dumps([asdict(one) for one in reports]))  # noqa: T201 -- its output is the answer
    return 0


def _run(name: str, options: argparse.Namespace) -> Report:
    if name == "read":
        return read(quick=options.quick, rounds=options.rounds, say=_say)
    return infer(quick=options.quick, rounds=options.rounds, device=options.device, say=_say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- the command that asked shows it


if __name__ == "__main__":
    sys.exit(main())
