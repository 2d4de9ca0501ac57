"""`medaet plugins enable|disable|agreement`: analyses switched on and off, and compared with those on trial."""

from collections.abc import Iterator
from typing import Annotated

import typer

from medaet.cli.output import FAILED, AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.cli.tables import opened
from medaet.config.load import load
from medaet.config.model import Config
from medaet.errors import FindingsError, PluginError
from medaet.plugin import folder
from medaet.plugin.agreement import agreements
from medaet.plugin.findings import Findings
from medaet.plugin.registry import discover
from medaet.plugin.switches import Switches
from medaet.queue.rows import Job
from medaet.queue.trials import pairs
from medaet.store.engine import Database
from medaet.store.files import Spool

Name = Annotated[str, typer.Argument(help="the analysis")]
COLUMNS = (
    "what",
    "studies",
    "only live",
    "only other",
    "Dice",
    "lowest",
    "difference",
    "95 % of differences",
)


def disable(name: Name, *, config: ConfigFile = None) -> None:
    """Give an analysis no new jobs; what is queued still runs. A running daemon heeds it at once. Exit 0, or 1."""
    with exit_codes():
        models = load(config).models_path
        if name not in discover(models=models).analyses:
            raise PluginError(f"no analysis named {name!r} is installed")
        Switches(models).disable(name)
    typer.echo(f"{name} gets no new jobs")


def enable(name: Name, *, config: ConfigFile = None) -> None:
    """Give an analysis jobs again. Exit 0, or 1 when it was not switched off."""
    with exit_codes():
        Switches(load(config).models_path).enable(name)
    typer.echo(f"{name} gets jobs again")


def agreement(
    live: Annotated[str, typer.Argument(help="the analysis whose results are delivered")],
    other: Annotated[str, typer.Argument(help="the one beside it: shadow or canary")],
    *,
    limit: Annotated[int, typer.Option(help="at most so many studies, the newest", min=1)] = 1000,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare two analyses on the series that both looked at. Exit 0, 1 when there are none, 2 or 3 as everywhere."""
    with exit_codes():
        configured = load(config)
        with opened(configured) as database:
            rows = agreements(_pairs(configured, database, live, other, limit))
    if as_json:
        print_json(rows)
    else:
        print_table(
            COLUMNS,
            [
                (
                    one.what,
                    one.studies,
                    one.only_live,
                    one.only_other,
                    _number(one.mean_dice, 4),
                    _number(one.lowest_dice, 4),
                    f"{_number(one.mean_difference)} {one.unit}".strip(),
                    f"{_number(one.lower_limit)} to {_number(one.upper_limit)}"
                    if one.lower_limit is not None
                    else "",
                )
                for one in rows
            ],
            empty=f"no series was analysed by both {live} and {other}",
        )
    raise typer.Exit(0 if rows else FAILED)


def _pairs(
    config: Config, database: Database, live: str, other: str, limit: int
) -> Iterator[tuple[Findings, Findings]]:
    spool = Spool(config.spool.path)
    for one, two in pairs(database, live, other, limit=limit):
        try:
            yield _findings(spool, one), _findings(spool, two)
        except FindingsError as error:
            typer.echo(f"jobs {one.id} and {two.id} are left out: {error}", err=True)


def _findings(spool: Spool, job: Job) -> Findings:
    return folder.load(spool.path(str(job.findings_path)))


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"
