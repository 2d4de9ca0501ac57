"""Statements for the one hot table, written with SQLAlchemy once and run by the driver itself.

SQLAlchemy costs more for each statement than SQLite does, and a receiver runs a few for every instance.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Dialect, Engine, Executable
from sqlalchemy.sql.elements import ClauseElement

from medaet.store.columns import UtcDateTime
from medaet.store.engine import Cursor


class Statement:
    """A statement in the words of one driver.

    Args:
        statement: With a named parameter for each value.
        engine: Whose driver will run it.
    """

    def __init__(self, statement: Executable, engine: Engine) -> None:
        assert isinstance(statement, ClauseElement)
        compiled = statement.compile(dialect=engine.dialect)
        self._text = str(compiled)
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)

    def run(self, cursor: Cursor, values: Mapping[str, object]) -> None:
        """Run it."""
        cursor.execute(self._text, self._bound(values))

    def run_many(self, cursor: Cursor, rows: Sequence[Mapping[str, object]]) -> int:
        """Run it for each row; return how many rows were changed altogether."""
        cursor.executemany(self._text, [self._bound(row) for row in rows])
        return cursor.rowcount

    def _bound(self, values: Mapping[str, object]) -> object:
        return values if self._order is None else [values[name] for name in self._order]


def moment_binder(dialect: Dialect) -> Callable[[datetime], object]:
    """Return what turns a time into what the driver takes for a column of times."""
    bind = UtcDateTime().dialect_impl(dialect).bind_processor(dialect)
    return (lambda moment: moment) if bind is None else bind
