"""The revisions of the schema: which one a database has, which one is needed, the way there."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, make_url, text

from medaet.errors import ConfigError, DatabaseUnavailableError, OutOfSpaceError, SchemaError
from medaet.store.engine import Database

SCRIPTS = "medaet_migrations:"
UPGRADE_LOCK = 0x6D656461  # "meda": any number that no other program takes on this database
DUMP_SECONDS = 3600


def head() -> str:
    """Return the newest revision that this version knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # the package carries at least the first one
    return revision


def current(url: str) -> str | None:
    """Return the revision of a database, or None when it holds no schema of ours yet.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
    """
    file = _sqlite_file(make_url(url))
    if file is not None and not file.exists():
        return None
    with closing(Database(url)) as database, database.read() as session:
        return MigrationContext.configure(session.connection()).get_current_revision()


def upgrade(url: str) -> None:
    """Bring a database to the newest revision, in one transaction.

    Raises:
        SchemaError: the database has a revision that this version does not know.
        DatabaseUnavailableError: the database cannot be reached.
    """
    config = _config()
    with closing(Database(url)) as database, database.write() as session:
        connection = session.connection()
        if connection.dialect.name == "postgresql":  # SQLite has its one writer
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SchemaError(
                f"the database cannot be upgraded to {head()}: {error}; "
                "it belongs to a newer version, or is not MedAET's"
            ) from error


def backup(url: str, file: Path) -> None:
    """Copy a database into a new file while it is in use.

    SQLite gives a database file, PostgreSQL an archive for `pg_restore`.

    Args:
        url: Of the database.
        file: Where to; it must not exist.

    Raises:
        ConfigError: there is nothing to copy, the file exists, or `pg_dump` is missing.
        OutOfSpaceError: the file cannot be written.
        DatabaseUnavailableError: the database did not hand everything out.
    """
    if file.exists():
        raise ConfigError(f"{file} exists already; name a new file for the backup")
    parsed = make_url(url)
    part = file.with_name(f"{file.name}.part")
    try:
        if parsed.get_backend_name() == "sqlite":
            _copy(_sqlite_file(parsed), part)
        else:
            _dump(parsed, part)
        part.rename(file)
    except OSError as error:
        raise OutOfSpaceError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    return config


def _sqlite_file(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def _copy(source: Path | None, target: Path) -> None:
    """Copy a SQLite database page by page, as of one moment."""
    if source is None or not source.exists():
        raise ConfigError(f"there is no database at {source}; check database.url")
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            found = new.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        raise DatabaseUnavailableError(f"{source} cannot be copied: {error}") from error
    if found != "ok":
        raise DatabaseUnavailableError(f"the copy of {source} is damaged: {found}")


def _dump(url: URL, target: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise ConfigError(
            "pg_dump is not installed; install PostgreSQL's client programs, "
            "or take the backup on the database host"
        )
    address = url._replace(drivername="postgresql", password=None).render_as_string()
    password = {} if url.password is None else {"PGPASSWORD": str(url.password)}
    done = subprocess.run(
        [program, "--format=custom", f"--file={target}", f"--dbname={address}"],
        env={**os.environ, **password},
        capture_output=True,
        text=True,
        check=False,
        timeout=DUMP_SECONDS,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise DatabaseUnavailableError(f"pg_dump failed: {lines[-1]}")
