"""A dashboard on loopback for tests: what it shows, and a browser without a window."""

import hashlib
import http.client
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import uvicorn
from sqlalchemy import update

from medaet.clock import Clock
from medaet.config.model import Config
from medaet.network.listening import listening_socket
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.events import record
from medaet.store.tables import SeriesRow
from medaet.testing.rows import Shelf
from medaet_daemon.dashboard.application import application
from medaet_daemon.dashboard.board import Board

PASSWORD = "a password of words"
PICTURE = b"\x89PNG\r\n\x1a\n and what follows"
CSRF = re.compile(r'name="csrf" value="([^"]+)"')
START_SECONDS = 20


@dataclass(slots=True)
class Answer:
    """What a browser would see."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


@dataclass(slots=True)
class Visitor:
    """A browser that keeps cookies and follows nothing."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, **headers)

    def post(self, path: str, values: Mapping[str, str] | None = None, **headers: str) -> Answer:
        content = urlencode({"csrf": self.csrf, **(values or {})})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, content.encode(), **{**kind, **headers})

    def ask(self, method: str, path: str, body: bytes | None, **headers: str) -> Answer:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            sent = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in {**({"Cookie": cookie} if cookie else {}), **sent}.items():
                connection.putheader(name, value)
            if body is not None and "Content-Length" not in sent:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            given = connection.getresponse()
            cookies = dict(
                one.partition(";")[0].partition("=")[::2]
                for one in given.headers.get_all("Set-Cookie", [])
            )
            answer = Answer(given.status, dict(given.headers), given.read(), cookies)
        self.cookies.update(cookies)
        if found := CSRF.search(answer.body.decode("utf-8", "replace")):
            self.csrf = found[1]
        return answer

    def log_in(self, name: str = "anna", password: str = PASSWORD) -> Answer:
        self.get("/login")
        answer = self.post("/login", {"name": name, "password": password})
        if answer.status == 303:
            self.get("/")
        return answer


@dataclass(slots=True)
class Hall:
    """A dashboard that runs."""

    config: Config
    port: int
    board: Board

    def visitor(self) -> Visitor:
        return Visitor(self.port)

    def operator(self) -> Visitor:
        """Somebody who may retry and bury."""
        visitor = self.visitor()
        assert visitor.log_in().status == 303
        return visitor

    def viewer(self) -> Visitor:
        """Somebody who may only look."""
        visitor = self.visitor()
        assert visitor.log_in("ward").status == 303
        return visitor


def configured(folder: Path, url: str, **sections: object) -> Config:
    """Return a configuration with two users."""
    (folder / "spool").mkdir(exist_ok=True)
    web = {"enabled": True, **dict(sections.pop("web", {}))}  # type: ignore[call-overload]
    return Config.model_validate(
        {
            "spool": {"path": folder / "spool", "minimum_free_bytes": 0},
            "database": {"url": url},
            "peers": [{"name": "ct1", "ae_title": "CT1", "host": "10.0.0.11"}],
            "web": web,
            **sections,
        }
    )


def with_users(config: Config) -> Config:
    """Let two in, by a hash that costs tests no time."""
    salt = bytes(16)
    digest = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=16, r=8, p=1, dklen=32)
    secret = f"scrypt 4 8 1 {salt.hex()} {digest.hex()}"
    config.users_path.write_text(f"anna operate {secret}\nward view {secret}\n")
    config.users_path.chmod(0o640)
    return config


@contextmanager
def running(config: Config, clock: Clock) -> Iterator[Hall]:
    """Serve the dashboard from a thread."""
    board = Board.of(config, clock)
    with closing(listening_socket("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(
            uvicorn.Config(
                application(board),
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + START_SECONDS
            while not server.started and thread.is_alive() and time.monotonic() < deadline:
                time.sleep(0.01)
            assert server.started
            yield Hall(config, listening.getsockname()[1], board)
        finally:
            server.should_exit = True
            thread.join()
            board.close()


def filled(database: Database, config: Config, clock: Clock) -> Shelf:
    """Put in a study: a job done with a picture and a dead delivery, a dead job, and a ready one."""
    queue = JobQueue(database, clock, maximum_attempts=3, jitter=lambda: 1.0)
    shelf = Shelf.filled(database, queue, clock.now())
    with database.write() as session:
        session.execute(
            update(SeriesRow).values(
                attributes={"SeriesDescription": MARKUP, "BodyPartExamined": "CHEST"},
                calling_ae_title="CT1",
            )
        )
        record(
            session,
            study_id=shelf.study_id,
            series_id=shelf.series_ids[0],
            name="series.closed",
            at=clock.now(),
            generation=1,
            reason="20 s without an instance",
        )
    shelf.enqueue(shelf.job("done"))
    done = shelf.done("1.2.9")
    folder = config.spool.path / "results" / str(done.id)
    folder.mkdir(parents=True)
    (folder / "ct.png").write_bytes(PICTURE)
    (folder / "other.dcm").write_bytes(b"not for browsers")
    shelf.enqueue(shelf.job("dead", series=1))
    shelf.buried()
    shelf.enqueue(shelf.job("ready", analysis="airways"))
    return shelf


def deliveries(database: Database, clock: Clock) -> DeliveryQueue:
    return DeliveryQueue(database, clock, jitter=lambda: 1.0)


MARKUP = "<script>alert(1)</script> & \"quoted\" 'too' {{ 7 * 7 }}"
