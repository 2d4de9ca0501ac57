"""`medaet db`: the schema's revision, the way to the newest, and backups."""

from pathlib import Path
from typing import Annotated

import typer

from medaet.cli.output import FAILED, AsJson, ConfigFile, exit_codes, print_json
from medaet.config.load import load
from medaet.store import migrate

app = typer.Typer(name="db", help="The database: schema and backups.", no_args_is_help=True)


@app.command()
def upgrade(*, config: ConfigFile = None) -> None:
    """Bring the database to the newest revision; stop the daemon and take a backup first.

    Exit 0 when it is there, 1 when it cannot be upgraded, 2 for a wrong configuration, 3 when it is not reached.
    """
    with exit_codes():
        url = load(config).database_url
        before = migrate.current(url)
        migrate.upgrade(url)
        after = migrate.current(url)
    typer.echo(f"revision {after}" + (" already" if before == after else f", from {before}"))


@app.command()
def current(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show the database's revision, and the one this version needs.

    Exit 0 when they are the same, 1 when not, 2 for a wrong configuration, 3 when the database is not reached.
    """
    with exit_codes():
        found, needed = migrate.current(load(config).database_url), migrate.head()
    if as_json:
        print_json({"revision": found, "needed": needed})
    else:
        typer.echo(f"revision {found or 'none'}, needed {needed}")
    raise typer.Exit(0 if found == needed else FAILED)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="the new file", dir_okay=False)],
    *,
    config: ConfigFile = None,
) -> None:
    """Copy the database into a new file while the daemon runs.

    Exit 0 when done, 1 when the file cannot be written, 2 for a wrong configuration or an existing file,
    3 when the database does not hand everything out.
    """
    with exit_codes():
        migrate.backup(load(config).database_url, file)
    typer.echo(f"{file}: {file.stat().st_size} bytes")
