"""Benchmarks in a process of their own, for commands that must not load torch: names in, JSON out.

python -P -m medaet.bench NAME... [--quick] [--case KEY] [--rounds N] [--device D]
"""

import argparse
import json
import sys
from dataclasses import asdict

from medaet import logs
from medaet.bench.cases import CASES
from medaet.bench.encode import encode
from medaet.bench.features import features
from medaet.bench.infer import infer
from medaet.bench.queue import queue
from medaet.bench.read import read
from medaet.bench.receive import receive
from medaet.bench.register import register
from medaet.bench.report import Report
from medaet.errors import MedaetError

ON_HOST = {"receive": receive, "queue": queue, "read": read, "encode": encode}
ON_DEVICE = {"features": features, "register": register}


def main() -> int:
    """Run the benchmarks that were asked for; what runs now goes to standard error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="+", choices=(*ON_HOST, *ON_DEVICE, "infer"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--case", action="append", default=[], choices=tuple(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    logs.set_up()  # standard output is for the answer
    try:
        reports = [_run(name, options) for name in options.names]
    except MedaetError as error:
        _say(str(error))
        return 1
    print(json.dumps([asdict(one) for one in reports]))  # noqa: T201 -- its output is the answer
    return 0


def _run(name: str, options: argparse.Namespace) -> Report:
    quick, rounds, device = options.quick, options.rounds, options.device
    if name in ON_HOST:
        return ON_HOST[name](quick=quick, rounds=rounds, say=_say)
    if name in ON_DEVICE:
        return ON_DEVICE[name](quick=quick, rounds=rounds, device=device, say=_say)
    return infer(cases=options.case, quick=quick, rounds=rounds, device=device, say=_say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- the command that asked shows it


if __name__ == "__main__":
    sys.exit(main())
