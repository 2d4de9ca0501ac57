"""An insert that yields to a row that is already there, on both databases."""

from collections.abc import Mapping
from typing import cast

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from medaet.store.tables import Base


def insert_unless_present(
    session: Session, row: type[Base], values: Mapping[str, object]
) -> int | None:
    """Insert one row unless a unique constraint forbids it.

    Another process may insert the same row in the same instant: this waits for its commit and then
    yields to it, where a SELECT followed by an INSERT would fail.

    Args:
        session: Of the transaction that writes.
        row: The table's class; it has a column `id`.
        values: By column name, defaults included.

    Returns:
        The id of the new row, or None when one was there already.
    """
    table = cast(Table, row.__table__)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(table.c.id)
    found: int | None = session.scalar(statement)
    return found
