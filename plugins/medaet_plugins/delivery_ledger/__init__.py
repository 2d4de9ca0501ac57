"""A ledger of deliveries: one JSON line for each result that a peer took, for audits that outlive the database."""

import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from medaet import hookimpl
from medaet.plugin.hooks import Delivered
from medaet.plugin.web import Block, Paragraph, Table, WebContext, WebPage

LEDGER = "deliveries.jsonl"
NEWEST = 50
TAKEN = """
    SELECT delivery.peer AS peer, result.sop_instance_uid AS sop_instance_uid
    FROM delivery JOIN result ON result.id = delivery.result_id
    WHERE delivery.state IN ('sent', 'committed')
    ORDER BY delivery.id DESC
"""


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


@hookimpl
def medaet_web_pages() -> Sequence[WebPage]:
    """Offer the ledger as a page of the dashboard."""
    return [WebPage("ledger", "Ledger", page)]


def page(context: WebContext) -> Sequence[Block]:
    """Hold the ledger against the database, count it by day, and list the newest lines."""
    taken = {(row["peer"], row["sop_instance_uid"]) for row in context.rows(TAKEN)}
    absent = set(taken)
    newest: deque[Mapping[str, Any]] = deque(maxlen=NEWEST)

    def read() -> Iterator[Mapping[str, Any]]:
        """Go through the ledger once, however long it is."""
        path = context.folder / LEDGER
        for line in _lines(path) if path.exists() else ():
            absent.discard((line["peer"], line["sop_instance_uid"]))
            newest.append(line)
            yield line

    days = _counted(read())[::-1]
    said = f"Of the newest {len(taken)} results that peers took, as the database has it, "
    said += f"{len(absent)} are not in the ledger." if absent else "the ledger has every one."
    lines = [
        (one["at"][:19], one["peer"], one["kind"], one["job_id"], f"{one['status']:04X}")
        for one in reversed(newest)
    ]
    return [
        Paragraph(said if taken else "No result was taken yet."),
        Table("By day", ("Day", "Peer", "Object", "Taken"), days),
        Table("Newest lines", ("At", "Peer", "Object", "Job", "Status"), lines),
    ]


def show(
    path: Annotated[
        Path, typer.Argument(help="hooks/delivery-ledger beside the spool", exists=True)
    ],
    *,
    peer: Annotated[str, typer.Option(help="only what this peer took")] = "",
) -> None:
    """Count what peers took, by day, peer and kind of result. Exit 0."""
    lines = _lines(path / LEDGER if path.is_dir() else path)
    for day, name, kind, count in _counted(one for one in lines if peer in ("", one["peer"])):
        typer.echo(f"{day}  {name}  {kind}  {count}")


def _counted(lines: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str, int]]:
    counts = Counter((line["at"][:10], line["peer"], line["kind"]) for line in lines)
    return [(*key, count) for key, count in sorted(counts.items())]


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as ledger:
        for line in ledger:
            if line.endswith("\n"):  # the last one may still be in writing
                yield json.loads(line)
