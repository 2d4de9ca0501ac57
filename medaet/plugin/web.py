"""Pages that plugins add to the dashboard: they return what is to be said, and the dashboard writes the markup."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medaet.errors import PluginError

LONGEST_TITLE = 60
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; a cell is text, a number or None.

    Attributes:
        caption: What the rows are.
        columns: The headings.
        rows: As many cells in each as there are headings.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


Block = Paragraph | Table


class Rows(Protocol):
    """Asks the database; see `WebContext`."""

    def __call__(self, statement: str, /, **values: object) -> Sequence[Mapping[str, object]]:
        """Return the rows of a SELECT."""
        ...


@dataclass(frozen=True, slots=True)
class WebContext:
    """What a page may look at.

    Attributes:
        folder: The plugin's own, the one that `medaet_after_delivery` gets; it may not exist yet.
        rows: Runs one SELECT on a connection that cannot write, with values for its `:names`, and returns its rows
            by column. The tables are those of `medaet/store/tables`, and change with the schema's revisions.
    """

    folder: Path
    rows: Rows


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page of the dashboard.

    Attributes:
        name: Its address below that of the plugin: lower case letters, digits, hyphens.
        title: In the navigation and above the page, 1 to 60 characters; must not name a patient.
        content: Returns what is to be shown; runs in a process of its own, whenever somebody looks, with limits of
            time and memory.

    Raises:
        PluginError: the name or the title cannot be used.
    """

    name: str
    title: str
    content: Callable[[WebContext], Sequence[Block]]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise PluginError(
                f"the page {self.name!r}: use lower case letters, digits, hyphens in its name"
            )
        if not 0 < len(self.title) <= LONGEST_TITLE:
            raise PluginError(
                f"the title of page {self.name} takes 1 to {LONGEST_TITLE} characters"
            )
