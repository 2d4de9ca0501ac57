"""Checks of the database: reached, of the right revision, and on the same time."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from sqlalchemy import text

from medaet.cli.checks.line import Line, fail, ok
from medaet.config.model import Config
from medaet.config.origins import masked
from medaet.errors import ConfigError, DatabaseUnavailableError
from medaet.store import migrate
from medaet.store.engine import Database

SKEW_SECONDS = 2.0


def check_database(config: Config) -> Iterator[Line]:
    """Look at the connection, the schema and the clock."""
    where = masked(config.database_url)
    try:
        current, head = migrate.current(config.database_url), migrate.head()
    except (ConfigError, DatabaseUnavailableError) as error:
        yield fail("database", f"{where}: {error}", "start it, or mend database.url")
        return
    if current is None:
        yield ok("database", f"{where}: none yet; medaetd makes it at its first start")
        return
    if current != head:
        yield fail(
            "database",
            f"{where} is at revision {current}, this version needs {head}",
            "stop medaetd, then `medaet db backup FILE` and `medaet db upgrade`",
        )
        return
    yield ok("database", f"{where}, revision {current}")
    if config.database_url.startswith("postgresql"):
        yield _clock(config)


def _clock(config: Config) -> Line:
    """Compare this host's clock with the database's: leases end by the clock of who looks at them."""
    with closing(Database(config.database_url)) as database, database.read() as session:
        there: datetime = session.scalar(text("SELECT clock_timestamp()"))
    skew = abs((datetime.now(UTC) - there).total_seconds())
    if skew > SKEW_SECONDS:
        return fail("clock", f"{skew:.1f} s apart from the database's", "run NTP on both hosts")
    return ok("clock", "that of the database")
