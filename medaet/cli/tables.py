"""The database as commands open it: reached, of the right schema, closed at the end."""

from collections.abc import Iterator
from contextlib import contextmanager

from medaet.config.model import Config
from medaet.errors import ConfigError, SchemaError
from medaet.store import migrate
from medaet.store.engine import Database


@contextmanager
def opened(config: Config) -> Iterator[Database]:
    """Open the configured database.

    Raises:
        ConfigError: there is no database yet.
        SchemaError: it is of another revision than this version needs.
        DatabaseUnavailableError: it cannot be reached.
    """
    current, head = migrate.current(config.database_url), migrate.head()
    if current is None:
        raise ConfigError(
            "there is no database yet; start medaetd once, or run `medaet db upgrade`, "
            "and check spool.path and database.url"
        )
    if current != head:
        raise SchemaError(
            f"the database is at revision {current}, this version needs {head}; "
            "run `medaet db backup FILE`, then `medaet db upgrade`"
        )
    database = Database(config.database_url)
    try:
        yield database
    finally:
        database.close()
