"""The database behind the tables: SQLite on one host, PostgreSQL as soon as there are two.

SQLite before 3.51.3 can corrupt a WAL database when two connections write or checkpoint in the same instant. So on
SQLite every write transaction, and the automatic checkpoint at its end, runs under one lock file that all processes
share; waiting for it is a queue in the kernel instead of SQLite's busy loop.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection

from medaet.errors import ConfigError, DatabaseUnavailableError

BUSY_SECONDS = 30
READ_SECONDS = 10
"""How long a statement of a read-only connection may take on PostgreSQL."""


class Cursor(Protocol):
    """What is used of a driver's cursor (PEP 249)."""

    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed."""
        ...

    def execute(self, statement: str, parameters: Any = ...) -> object:
        """Run a statement."""
        ...

    def executemany(self, statement: str, parameters: Any) -> object:
        """Run a statement for each set of parameters."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...


class Database:
    """Read and write transactions on one database; safe to share between threads, not across a fork.

    Args:
        url: SQLAlchemy URL, `sqlite:///FILE` or `postgresql+psycopg://...`.
        durable: Whether a commit survives a power cut; False is mode `crash` of the listener.
        read_only: Whether the database itself is to refuse every write; statements then end after a while, too.

    Raises:
        ConfigError: the URL names another kind of database.
    """

    def __init__(self, url: str, *, durable: bool = True, read_only: bool = False) -> None:
        try:
            self.engine = (
                _sqlite(url, durable) if url.startswith("sqlite") else _postgres(url, durable)
            )
            if read_only:
                _refuse_writes(self.engine)
        except (ArgumentError, ImportError) as error:
            raise ConfigError(
                f"database.url: {type(error).__name__}; use sqlite:///FILE or "
                "postgresql+psycopg://USER@HOST/NAME (and install medaet[postgres])"
            ) from error
        self._writer = _WriterLock(self.engine)
        self._direct: PoolProxiedConnection | None = None
        self._direct_lock = threading.Lock()

    @property
    def is_remote(self) -> bool:
        """Whether a connection may break while the database is well."""
        return self.engine.dialect.name != "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads."""
        with self._reachable(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that commits at the end of the block, or rolls back on any exception."""
        with (
            self._writer,
            self._reachable(),
            Session(
                self.engine.execution_options(medaet_write=True), expire_on_commit=False
            ) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def direct_write(self) -> Iterator[Cursor]:
        """Open a write transaction of the driver's own, on a connection that is kept: see `medaet.store.direct`.

        Raises:
            DatabaseUnavailableError: it may be that the transaction was committed all the same.
        """
        with self._writer, self._direct_lock, self._reachable(), self._reachable_driver():
            if self._direct is None:
                self._direct = self.engine.raw_connection()
            connection = self._direct
            try:
                cursor = connection.cursor()
                if self.engine.dialect.name == "sqlite":
                    cursor.execute("BEGIN IMMEDIATE")
                yield cursor
                connection.commit()
                cursor.close()
            except BaseException:
                self._undo_direct()
                raise

    def dispose(self) -> None:
        """Close every pooled connection; call it in a child after a fork."""
        self.engine.dispose(close=False)

    def close(self) -> None:
        """Close every connection."""
        with self._direct_lock:
            if self._direct is not None:
                self._direct.close()
                self._direct = None
        self.engine.dispose()

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise DatabaseUnavailableError(
                f"the {self.engine.dialect.name} database does not answer: {error.orig}"
            ) from error

    def _undo_direct(self) -> None:
        """Roll back, or forget a connection that cannot even do that."""
        connection = self._direct
        assert connection is not None
        try:
            connection.rollback()
        except Exception:  # noqa: BLE001 -- any of the driver's errors; the first one is what is told
            connection.invalidate()
            self._direct = None

    @contextmanager
    def _reachable_driver(self) -> Iterator[None]:
        dialect = self.engine.dialect
        try:
            yield
        except dialect.loaded_dbapi.OperationalError as error:
            raise DatabaseUnavailableError(
                f"the {dialect.name} database does not answer: {error}"
            ) from error


class _WriterLock:
    """Lets one writer at a time into a SQLite file; does nothing on other databases."""

    def __init__(self, engine: Engine) -> None:
        database = engine.url.database
        is_file = engine.dialect.name == "sqlite" and database not in (None, "", ":memory:")
        self._path = f"{database}.writer" if is_file else None
        self._threads = threading.Lock() if engine.dialect.name == "sqlite" else None
        self._held = -1

    def __enter__(self) -> None:
        if self._threads is None:
            return
        self._threads.acquire()
        try:
            if self._path is not None:
                # Opened each time: a descriptor that a fork has copied would lock for both.
                self._held = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
                fcntl.flock(self._held, fcntl.LOCK_EX)
        except OSError as error:
            self._threads.release()
            raise DatabaseUnavailableError(
                f"the writer lock {self._path} cannot be taken: {error.strerror}"
            ) from error

    def __exit__(self, *_: object) -> None:
        if self._threads is None:
            return
        if self._path is not None:
            os.close(self._held)  # closing the file gives up its lock
        self._threads.release()


def _sqlite(url: str, durable: bool) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
    database = engine.url.database
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: SqliteConnection, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("medaet_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _refuse_writes(engine: Engine) -> None:
    """Have the database refuse writes, and PostgreSQL end what takes long; both last as long as the connection."""
    settings = (
        ("PRAGMA query_only = ON",)
        if engine.dialect.name == "sqlite"
        else (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            f"SET statement_timeout = '{READ_SECONDS}s'",
        )
    )

    @event.listens_for(engine, "connect")
    def refuse(connection: PoolProxiedConnection, _record: object) -> None:
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(setting)
        connection.commit()  # a rollback would take PostgreSQL's settings back
        cursor.close()


def _postgres(url: str, durable: bool) -> Engine:
    engine = create_engine(
        url, pool_pre_ping=True, connect_args={"connect_timeout": 10}, hide_parameters=True
    )
    if engine.dialect.name != "postgresql":
        raise ArgumentError(f"unknown database {engine.dialect.name}")
    if not durable:

        @event.listens_for(engine, "connect")
        def relax(connection: object, _record: object) -> None:
            cursor = connection.cursor()  # type: ignore[attr-defined] # any DBAPI connection has one
            cursor.execute("SET synchronous_commit = off")
            cursor.close()

    return engine
