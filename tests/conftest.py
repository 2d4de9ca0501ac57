"""Fixtures of every test: databases, a clock, scans and ports."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from medaet.store.engine import Database
from medaet.store.tables import Base
from medaet.testing.clock import FakeClock
from tests.peers import missing

START_SECONDS = 60
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Cluster:
    """A private PostgreSQL server, on a socket in a folder of its own."""

    socket_folder: Path

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self.socket_folder}"

    def create(self, name: str) -> str:
        """Make an empty database, in place of an earlier one of that name; return its URL."""
        with psycopg.connect(self._libpq(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def answers(self) -> bool:
        try:
            psycopg.connect(self._libpq()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _libpq(self) -> str:
        return f"host={self.socket_folder} user=postgres dbname=postgres"


@pytest.fixture(autouse=True)
def _gpu(request: pytest.FixtureRequest) -> None:
    """Skip what needs a GPU where there is none."""
    if request.node.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU that torch can use")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """PostgreSQL, started once in each test process and stopped at its end."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parts[-2]))
    if not programs:
        missing("PostgreSQL's server programs are not installed")
    folder = Path(tempfile.mkdtemp(prefix="medaet-pg-"))  # short: a socket's path has a limit
    try:
        as_user = _as_user(folder)
        _run([*as_user, str(programs[-1] / "initdb"), f"--pgdata={folder / 'data'}", *INITDB])
        with _server([*as_user, str(programs[-1] / "postgres")], folder) as started:
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_with_schema(cluster: Cluster) -> str:
    url = cluster.create("medaet")
    with contextlib.closing(Database(url)) as database:
        Base.metadata.create_all(database.engine)
    return url


@pytest.fixture
def postgres_url(postgres_with_schema: str) -> str:
    """The URL of a PostgreSQL database with empty tables."""
    names = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    empty = text(f"TRUNCATE {names} RESTART IDENTITY")
    with (
        contextlib.closing(Database(postgres_with_schema)) as database,
        database.write() as session,
    ):
        session.execute(empty)
    return postgres_with_schema


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with empty tables, once on each kind of database."""
    if request.param == "postgres":
        emptied: str = request.getfixturevalue("postgres_url")
        return emptied
    url = f"sqlite:///{tmp_path / 'medaet.db'}"
    with contextlib.closing(Database(url, durable=False)) as database:
        Base.metadata.create_all(database.engine)
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table, once on each kind of database."""
    if request.param == "postgres":
        server: Cluster = request.getfixturevalue("cluster")
        return server.create("empty")
    return f"sqlite:///{tmp_path / 'medaet.db'}"


@pytest.fixture
def empty_postgres_url(cluster: Cluster) -> str:
    """The URL of a PostgreSQL database without any table."""
    return cluster.create("empty")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database with empty tables, once on each kind of database."""
    with contextlib.closing(Database(database_url, durable=False)) as opened:
        yield opened


@pytest.fixture(scope="session")
def scans() -> Path:
    """The folder of real scans that are tested on but not shipped."""
    named = os.environ.get("MEDAET_TEST_DATA")
    if not named:
        missing("MEDAET_TEST_DATA does not name the folder of test scans")
    folder = Path(named)
    if not folder.is_dir():
        missing(f"MEDAET_TEST_DATA names {folder}, which is not a folder")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: on small arrays, and beside other tests, more of them only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


INITDB = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
}


def _as_user(folder: Path) -> list[str]:
    """Return the command that gives up root, which PostgreSQL refuses, and dies with the tests."""
    command = ["setpriv", "--pdeathsig=QUIT"]
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            missing("there is no user postgres to run a server as")
        os.chown(folder, user.pw_uid, user.pw_gid)
        command += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return command


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, cwd="/"
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr}")


@contextlib.contextmanager
def _server(command: list[str], folder: Path) -> Iterator[Cluster]:
    settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
    started = Cluster(socket_folder=folder)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "-D", str(folder / "data"), "-k", str(folder), *settings],
            stdout=log,
            stderr=log,
            cwd="/",
        )
    try:
        for _ in range(int(START_SECONDS / POLL_SECONDS)):
            if started.answers():
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(POLL_SECONDS)
                pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
        else:
            pytest.fail(f"PostgreSQL did not answer within {START_SECONDS} s")
        yield started
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
