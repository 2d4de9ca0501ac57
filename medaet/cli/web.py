"""`medaet web`: who may enter the dashboard."""

import sys
from typing import Annotated

import typer

from medaet.cli.output import AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.config.load import load
from medaet.store.users import Users, WebRole

app = typer.Typer(name="web", help="Who may enter the dashboard.", no_args_is_help=True)

UserName = Annotated[str, typer.Argument(metavar="NAME", help="the user's name")]


@app.command()
def password(
    name: UserName,
    *,
    role: Annotated[
        WebRole, typer.Option(help="look at everything, or retry and bury as well")
    ] = WebRole.OPERATE,
    config: ConfigFile = None,
) -> None:
    """Let somebody in, or change a password or role: asks for it, or reads a line of standard input.

    Exit 0, or 2 for a password or name that cannot be taken. A running dashboard needs no restart; the sessions of
    that user end.
    """
    with exit_codes():
        users = Users(load(config).users_path)
        users.keep(name, role, _asked())
    typer.echo(f"{name} may {role} in the dashboard; {users.path} holds a hash of the password")


@app.command()
def users(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List who may enter. Exit 0, or 2 for a wrong configuration or file."""
    with exit_codes():
        found = Users(load(config).users_path).all().values()
    rows = [(one.name, one.role) for one in found]
    if as_json:
        print_json([{"name": name, "role": role} for name, role in rows])
        return
    print_table(("user", "may"), rows, empty="nobody; `medaet web password NAME` lets somebody in")


@app.command()
def remove(name: UserName, *, config: ConfigFile = None) -> None:
    """Keep somebody out; a session ends with its next request. Exit 0, or 2 when there is nobody of that name."""
    with exit_codes():
        Users(load(config).users_path).remove(name)
    typer.echo(f"{name} may no longer enter")


def _asked() -> str:
    """Ask twice on a terminal; a pipe says it once."""
    if sys.stdin.isatty():
        return str(typer.prompt("password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
