"""`medaet config`: check it, show it with its origins, print its schema."""

from typing import Annotated

import typer

from medaet.cli.output import AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.config.load import load
from medaet.config.model import Config
from medaet.config.origins import plain, settings
from medaet.plugin.registry import discover
from medaet.routes import check_routes

app = typer.Typer(name="config", help="The configuration.", no_args_is_help=True)


@app.command()
def check(*, config: ConfigFile = None) -> None:
    """Check medaet.toml, its routes and its plugin settings. Exit 0 when all is well, 2 when not."""
    with exit_codes():
        found = load(config)
        check_routes(found, discover(models=found.models_path))
    typer.echo(
        f"well: {len(found.peers)} peers, {len(found.routes)} routes, "
        f"listening as {found.listener.ae_title} on port {found.listener.port}"
    )


@app.command()
def show(
    *,
    origin: Annotated[bool, typer.Option("--origin", help="say where each value is from")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show every setting in effect. Exit 0, or 2 when the configuration is wrong."""
    with exit_codes():
        found = settings(config)
        whole = plain(load(config))
    if as_json:
        print_json(found if origin else whole)
    elif origin:
        rows = [(one.key, one.value, one.origin) for one in found]
        print_table(("key", "value", "origin"), rows, empty="no settings")
    else:
        for one in found:
            typer.echo(f"{one.key} = {one.value}")


@app.command()
def schema() -> None:
    """Print the JSON schema of medaet.toml, for editors. Exit 0."""
    print_json(Config.model_json_schema())
