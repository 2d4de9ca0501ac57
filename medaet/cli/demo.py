"""`medaet demo`: a scanner, the daemon and a PACS on loopback, with two bundled scans."""

from pathlib import Path
from typing import Annotated

import typer

from medaet.cli.output import exit_codes
from medaet.demo.run import run


def demo(
    out: Annotated[
        Path, typer.Option("--out", help="gets pictures, objects and logs", file_okay=False)
    ] = Path("medaet-demo"),
) -> None:
    """Show the whole chain on loopback: scanner, daemon, PACS, results checked, pictures and a table.

    Exit 0 when everything came back proven, 1 otherwise.
    """
    with exit_codes():
        status = run(out)
    raise typer.Exit(status)
