"""What all commands share: options, exit codes, JSON and tables."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from medaet.errors import (
    ConfigError,
    DatabaseUnavailableError,
    MedaetError,
    PeerUnavailableError,
)

FAILED = 1
WRONG_USAGE = 2
NOT_REACHED = 3

EXIT_CODES: tuple[tuple[type[MedaetError], int], ...] = (
    (ConfigError, WRONG_USAGE),
    (PeerUnavailableError, NOT_REACHED),
    (DatabaseUnavailableError, NOT_REACHED),
    (MedaetError, FAILED),
)
"""Error classes and their exit codes; the first that fits counts."""

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar="MEDAET_CONFIG", help="medaet.toml", dir_okay=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn an error into a sentence on standard error and an exit code."""
    try:
        yield
    except MedaetError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(exit_code(error)) from error


def exit_code(error: MedaetError) -> int:
    """Return the exit code of an error."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def print_json(value: object) -> None:
    """Print data classes, times, paths and what JSON knows."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows in columns, or the sentence `empty` when there is none."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    if table.row_count == 0:
        typer.echo(empty)
        return
    # A pipe has no width: nothing is cut or wrapped there.
    console = Console()
    (console if console.is_terminal else Console(width=500)).print(table)


def _text(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value.value) if isinstance(value, Enum) else str(value)


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
