"""`medaet`: administration from a terminal; a command's module is imported when that command is used, not before."""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from medaet import __version__, logs


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives, and the line that lists it.

    Attributes:
        module: Below medaet.cli.
        attribute: A Typer application with commands of its own, or the function of one command.
        title: The line of `medaet --help`.
    """

    module: str
    attribute: str
    title: str


COMMANDS = {
    "demo": Entry("demo", "demo", "Show the whole chain on loopback with two bundled scans."),
    "init": Entry("init", "init", "Write a commented medaet.toml and the systemd units."),
    "doctor": Entry("doctor", "doctor", "Say what is wrong here, and how to mend it."),
    "config": Entry("configuration", "app", "The configuration."),
    "db": Entry("database", "app", "The database: schema and backups."),
    "plugins": Entry("plugins", "app", "The installed analyses."),
    "models": Entry(
        "models", "app", "Trained models: imported, and certified in other precisions."
    ),
    "studies": Entry("studies", "app", "Studies received, and what became of them."),
    "jobs": Entry("jobs", "app", "Analyses queued, running, done and dead."),
    "deliveries": Entry("deliveries", "app", "Results on their way to peers."),
    "run": Entry("run", "run", "One analysis on files; no database, no network."),
    "codes": Entry("codes", "codes", "Search the structures that have codes."),
    "bench": Entry("bench", "app", "What this machine does, beside peers."),
    "train": Entry("train", "train", "A model from labelled scans: trained, validated, exported."),
    "trainings": Entry("trainings", "app", "Queued training runs."),
    "peers": Entry("peers", "app", "The application entities we talk to."),
    "web": Entry("web", "app", "Who may enter the dashboard."),
    "send": Entry("peers", "send", "Send DICOM files to a peer in one association."),
}


def application(arguments: Sequence[str]) -> typer.Typer:
    """Build the command line, importing only the module of the command that `arguments` name."""
    app = typer.Typer(
        name="medaet",
        help="An application entity that reads scans. Exit codes: 0 done, 1 the thing asked failed, "
        "2 wrong usage or configuration, 3 a peer or the database cannot be reached.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # they show local variables, perhaps a patient's
    )
    app.callback()(_options)
    wanted = next((one for one in arguments if not one.startswith("-")), None)
    for name, entry in COMMANDS.items():
        if name == wanted:
            _add(app, name, entry)
        else:
            app.command(name=name, help=entry.title)(_not_asked)
    if wanted not in COMMANDS:
        _add_further(app)
    return app


def main() -> None:
    """Run the command line."""
    logs.set_up()  # to standard error: standard output is for what was asked
    application(sys.argv[1:])()


def _add(app: typer.Typer, name: str, entry: Entry) -> None:
    found = getattr(importlib.import_module(f"medaet.cli.{entry.module}"), entry.attribute)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        app.command(name=name)(found)


def _add_further(app: typer.Typer) -> None:
    """Add the commands of plugins: only where no command of ours was asked for, since it imports them all."""
    from medaet.plugin.registry import discover

    for manager in discover().plugins.values():
        for commands in manager.hook.medaet_commands():
            for name, found in commands.items():
                if name in COMMANDS:
                    continue
                if isinstance(found, typer.Typer):
                    app.add_typer(found, name=name)
                else:
                    app.command(name=name)(found)


def _not_asked() -> None:
    """Stand for a command that the arguments do not name."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"medaet {__version__}")
        raise typer.Exit


def _options(
    *,
    version: bool = typer.Option(
        False, "--version", help="print the version", is_eager=True, callback=_show_version
    ),
) -> None:
    pass
