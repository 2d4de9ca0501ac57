"""`medaet doctor`: what is wrong with this installation, and how to mend it."""

from collections.abc import Iterator

import typer
from rich.console import Console
from rich.markup import escape

from medaet.cli.checks.compute import check_compute
from medaet.cli.checks.dashboard import check_dashboard
from medaet.cli.checks.database import check_database
from medaet.cli.checks.decoders import check_decoders
from medaet.cli.checks.host import check_host
from medaet.cli.checks.line import Line, Verdict, fail, ok
from medaet.cli.checks.listener import check_listener
from medaet.cli.checks.peers import check_peers
from medaet.cli.checks.plugins import check_plugins
from medaet.cli.checks.spool import check_spool
from medaet.cli.output import FAILED, AsJson, ConfigFile, print_json
from medaet.config.load import SYSTEM_WIDE, load
from medaet.config.model import Config
from medaet.errors import ConfigError

COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}
WIDTH = 28


def doctor(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Look at everything the daemon needs, and say how to mend what is wrong. Exit 0, or 1 on any FAIL."""
    console = Console(soft_wrap=True)
    lines = []
    for line in _lines(config):
        lines.append(line)
        if not as_json:
            _print(console, line)
    failed = sum(line.verdict is Verdict.FAIL for line in lines)
    warned = sum(line.verdict is Verdict.WARN for line in lines)
    if as_json:
        print_json(lines)
    else:
        console.print(f"{len(lines)} checks: {failed} failed, {warned} warnings")
    raise typer.Exit(FAILED if failed else 0)


def _lines(path: ConfigFile) -> Iterator[Line]:
    try:
        config = load(path)
    except ConfigError as error:
        yield fail(
            "configuration", str(error), "mend the file; `medaet config check` reads it again"
        )
        config = Config()
    else:
        where = path or (SYSTEM_WIDE if SYSTEM_WIDE.is_file() else "built-in defaults")
        yield ok("configuration", str(where))
    yield from check_host(config)
    yield from check_spool(config)
    yield from check_database(config)
    yield from check_listener(config)
    yield from check_dashboard(config)
    yield from check_peers(config)
    yield from check_decoders()
    yield from check_plugins(config)
    yield from check_compute(config)


def _print(console: Console, line: Line) -> None:
    colour = COLOURS[line.verdict]
    console.print(
        f"[{colour}]{line.verdict:4}[/]  {escape(line.subject):{WIDTH}}  {escape(line.found)}",
        highlight=False,
    )
    if line.fix:
        console.print(f"{'':6}{'':{WIDTH}}  -> {escape(line.fix)}", highlight=False)
