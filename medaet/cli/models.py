"""`medaet models`: what trained models may be computed in."""

import typer

from medaet.cli.verify import certificates, verify

app = typer.Typer(name="models", help="Trained models.", no_args_is_help=True)
app.command()(verify)
app.command()(certificates)
