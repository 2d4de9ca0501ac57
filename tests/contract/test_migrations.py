"""The schema's revisions, on both databases."""

import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text

from medaet.errors import ConfigError, DatabaseUnavailableError, SchemaError
from medaet.store import migrate
from medaet.store.engine import Database
from medaet.store.tables import Base, StudyRow
from medaet.testing.clock import NOON
from tests.peers import system_program


def test_upgrade_gives_an_empty_database_the_schema_of_the_tables(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    with closing(Database(empty_url)) as database, database.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_upgrade_names_constraints_and_indexes_as_the_tables_do(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    upgraded = _names(empty_url)
    with closing(Database(empty_url)) as database:
        with database.write() as session:
            session.execute(text("DROP TABLE alembic_version"))
        Base.metadata.drop_all(database.engine)
        Base.metadata.create_all(database.engine)
    assert upgraded == _names(empty_url)


def test_upgrade_leaves_a_database_at_the_newest_revision(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()


def test_upgrade_changes_nothing_when_run_again(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    _insert_study(empty_url)
    migrate.upgrade(empty_url)
    assert _studies(empty_url) == ["1.2.3"]


def test_upgrade_refuses_a_database_of_a_newer_version(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    with closing(Database(empty_url)) as database, database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert migrate.current(empty_url) == "9999"
    with pytest.raises(SchemaError, match="9999"):
        migrate.upgrade(empty_url)


def test_current_makes_no_database_file(tmp_path: Path) -> None:
    assert migrate.current(f"sqlite:///{tmp_path / 'none.db'}") is None
    assert list(tmp_path.iterdir()) == []


def test_current_says_when_the_database_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError):
        migrate.current(f"postgresql+psycopg://nobody@/none?host={tmp_path}")


def test_backup_copies_a_sqlite_database_in_use(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'medaet.db'}"
    migrate.upgrade(url)
    copy = tmp_path / "copy.db"
    with closing(Database(url)) as database, database.write() as session:
        session.add(_study("1.2.4"))
        migrate.backup(url, copy)
    assert _studies(f"sqlite:///{copy}") == []
    assert _studies(url) == ["1.2.4"]
    assert migrate.current(f"sqlite:///{copy}") == migrate.head()


def test_backup_refuses_to_overwrite_a_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'medaet.db'}"
    migrate.upgrade(url)
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="exists already"):
        migrate.backup(url, copy)
    assert copy.read_bytes() == b"mine"


def test_backup_leaves_nothing_behind_when_the_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "medaet.db").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(DatabaseUnavailableError, match="cannot be copied"):
        migrate.backup(f"sqlite:///{tmp_path / 'medaet.db'}", tmp_path / "copy.db")
    assert [one.name for one in tmp_path.iterdir()] == ["medaet.db"]


@pytest.mark.postgres
def test_backup_of_postgres_can_be_restored(postgres_url: str, tmp_path: Path) -> None:
    program = system_program("pg_restore")
    migrate.backup(postgres_url, tmp_path / "dump")
    listed = subprocess.run(
        [program, "--list", tmp_path / "dump"], capture_output=True, text=True, check=True
    )
    assert all(f"TABLE DATA public {table} " in listed.stdout for table in Base.metadata.tables)


def test_backup_says_what_to_install_when_pg_dump_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="pg_dump is not installed"):
        migrate.backup("postgresql+psycopg://host/name", tmp_path / "dump")


def _study(uid: str) -> StudyRow:
    return StudyRow(study_instance_uid=uid, first_received_at=NOON, last_received_at=NOON)


def _insert_study(url: str) -> None:
    with closing(Database(url)) as database, database.write() as session:
        session.add(_study("1.2.3"))


def _studies(url: str) -> list[str]:
    with closing(Database(url)) as database, database.read() as session:
        return list(session.scalars(select(StudyRow.study_instance_uid)))


def _names(url: str) -> set[tuple[str, str | None]]:
    """Name every constraint and index of every table."""
    found: set[tuple[str, str | None]] = set()
    with closing(Database(url)) as database:
        schema = inspect(database.engine)
        for table in Base.metadata.tables:
            found.add((table, schema.get_pk_constraint(table)["name"]))
            found |= {(table, one["name"]) for one in schema.get_foreign_keys(table)}
            found |= {(table, one["name"]) for one in schema.get_unique_constraints(table)}
            found |= {(table, one["name"]) for one in schema.get_indexes(table)}
    return found
