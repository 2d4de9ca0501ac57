"""A ledger of deliveries: one JSON line for each result that a peer took, for audits that outlive the database."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from medaet import hookimpl
from medaet.plugin.hooks import Delivered

LEDGER = "deliveries.jsonl"


@hookimpl
def medaet_after_delivery(result: Delivered, folder: Path) -> None:
    """Add a line, synced before the next delivery."""
    line = json.dumps({"at": datetime.now(UTC).isoformat(), **asdict(result)})
    with (folder / LEDGER).open("a", encoding="utf-8") as ledger:
        ledger.write(f"{line}\n")
        ledger.flush()
        os.fsync(ledger.fileno())


@hookimpl
def medaet_commands() -> Mapping[str, Callable[..., Any]]:
    """Offer `medaet ledger`."""
    return {"ledger": show}


def show(
    path: Annotated[
        Path, typer.Argument(help="hooks/delivery-ledger beside the spool", exists=True)
    ],
    *,
    peer: Annotated[str, typer.Option(help="only what this peer took")] = "",
) -> None:
    """Count what peers took, by day, peer and kind of result. Exit 0."""
    counts: dict[tuple[str, str, str], int] = {}
    for line in _lines(path / LEDGER if path.is_dir() else path):
        key = (line["at"][:10], line["peer"], line["kind"])
        if peer in ("", line["peer"]):
            counts[key] = counts.get(key, 0) + 1
    for (day, name, kind), count in sorted(counts.items()):
        typer.echo(f"{day}  {name}  {kind}  {count}")


def _lines(path: Path) -> Iterator[Mapping[str, str]]:
    with path.open(encoding="utf-8") as ledger:
        for line in ledger:
            if line.endswith("\n"):  # the last one may still be in writing
                yield json.loads(line)
