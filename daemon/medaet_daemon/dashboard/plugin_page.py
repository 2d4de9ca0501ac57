"""The process that makes one page of a plugin: reads what is asked on standard input, answers on standard output.

It dies with the dashboard, may not write to the database, and has limits of memory, of processor time and of what it
may say. What the plugin itself prints goes nowhere.
"""

import contextlib
import importlib
import json
import os
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO, Any

import pluggy
from sqlalchemy import text

from medaet import logs
from medaet.errors import PluginError
from medaet.parent import die_with_parent
from medaet.plugin import hookspecs
from medaet.plugin.registry import GROUP
from medaet.plugin.web import Paragraph, Table, WebContext, WebPage
from medaet.store.engine import Database

MEMORY_BYTES = 1_000_000_000
PROCESSOR_SECONDS = 15
MOST_BLOCKS = 50
MOST_ROWS = 1000
MOST_COLUMNS = 30
LONGEST_CELL = 500
LONGEST_PARAGRAPH = 5000
LONGEST_ANSWER = 2_000_000


def main() -> None:
    """Make the page that standard input asks for."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    asked = json.load(sys.stdin)
    with _alone() as answer:
        answer.write(said_of(answer_to(asked)))


def said_of(answer: Mapping[str, object]) -> str:
    """Write an answer, unless it is too long."""
    said = json.dumps(answer)
    if len(said) <= LONGEST_ANSWER:
        return said
    return json.dumps({"error": f"the page has more than {LONGEST_ANSWER} characters"})


def answer_to(asked: Mapping[str, str]) -> dict[str, Any]:
    """Make a page: its `blocks`, or the `error` and the `frames` it arose in."""
    database = Database(asked["database_url"], read_only=True)

    def rows(statement: str, /, **values: object) -> Sequence[Mapping[str, object]]:
        with database.read() as session:
            found = session.execute(text(statement), values).mappings().fetchmany(MOST_ROWS)
            return [dict(one) for one in found]

    try:
        made = _page(asked["plugin"], asked["page"]).content(
            WebContext(Path(asked["folder"]), rows)
        )
        return {"blocks": [_plain(one) for one in list(made)[:MOST_BLOCKS]]}
    except Exception as error:  # noqa: BLE001 -- whatever a stranger's code raises is told by its class
        return logs.frames(error)
    finally:
        database.close()


def _page(plugin: str, name: str) -> WebPage:
    """Load one plugin, and find its page."""
    (point,) = entry_points(group=GROUP, name=plugin)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(importlib.import_module(point.value), plugin)
    return next(one for one in offered(manager) if one.name == name)


def offered(manager: pluggy.PluginManager) -> Iterator[WebPage]:
    """List the pages that a plugin offers.

    Raises:
        PluginError: it offers something else.
    """
    for several in manager.hook.medaet_web_pages():
        for one in several:
            if not isinstance(one, WebPage):
                raise PluginError("medaet_web_pages returns WebPage objects")
            yield one


def _plain(block: object) -> dict[str, object]:
    """Turn a block into text, and nothing but text."""
    if isinstance(block, Paragraph):
        return {"text": str(block.text)[:LONGEST_PARAGRAPH]}
    if not isinstance(block, Table):
        raise PluginError("a page consists of Paragraph and Table")
    columns = [str(one)[:LONGEST_CELL] for one in block.columns][:MOST_COLUMNS]
    rows = [_cells(row, len(columns)) for row in list(block.rows)[:MOST_ROWS]]
    return {
        "caption": str(block.caption)[:LONGEST_CELL],
        "columns": columns,
        "rows": rows,
        "left_out": max(len(block.rows) - MOST_ROWS, 0),
    }


def _cells(row: Sequence[object], columns: int) -> list[Any]:
    if len(row) != columns:
        raise PluginError("every row of a Table has as many cells as there are columns")
    return ["" if cell is None else str(cell)[:LONGEST_CELL] for cell in row]


@contextlib.contextmanager
def _alone() -> Iterator[IO[str]]:
    """Keep standard output for the answer: whatever else is written there or to standard error goes nowhere."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    with os.fdopen(kept, "w", encoding="utf-8") as answer:
        yield answer


if __name__ == "__main__":
    main()
