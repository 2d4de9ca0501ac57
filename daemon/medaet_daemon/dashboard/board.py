"""What every page stands on: the configuration, the database, who is logged in, and how pages are written."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from medaet import __version__
from medaet.clock import Clock
from medaet.config.model import Config
from medaet.plugin.registry import Registry, discover
from medaet.store.engine import Database
from medaet.store.users import Users
from medaet_daemon.dashboard.sessions import Session, Sessions, Tries

HERE = Path(__file__).parent
THOUSAND = 1000


@dataclass(slots=True)
class Board:
    """What the dashboard has of the rest of the daemon.

    Attributes:
        reader: A database that refuses writes: every page uses it.
        writer: The same one, for what people decide.
    """

    config: Config
    clock: Clock
    reader: Database
    writer: Database
    users: Users
    sessions: Sessions
    tries: Tries
    find_plugins: Callable[[], Registry]
    _registry: Registry | None = None
    _registry_lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, config: Config, clock: Clock) -> "Board":
        """Build it from the configuration."""
        users = Users(config.users_path)
        return cls(
            config=config,
            clock=clock,
            reader=Database(config.database_url, read_only=True),
            writer=Database(config.database_url, durable=config.listener.is_durable),
            users=users,
            sessions=Sessions(users, timedelta(seconds=config.web.session_seconds), clock),
            tries=Tries(clock),
            find_plugins=lambda: discover(models=config.models_path),
        )

    @property
    def registry(self) -> Registry:
        """The installed plugins; found when somebody first asks."""
        with self._registry_lock:
            if self._registry is None:
                self._registry = self.find_plugins()
            else:
                self._registry.refresh()
            return self._registry

    def close(self) -> None:
        """Close both databases."""
        self.reader.close()
        self.writer.close()


def board_of(request: Request) -> Board:
    """Return the board that a request is answered from."""
    board: Board = request.app.state.board
    return board


def session_of(request: Request) -> Session | None:
    """Return who asks, as the guard found out; None for the few pages that take no login."""
    found: Session | None = request.scope.get("medaet.session")
    return found


def page(
    request: Request, template: str, *, title: str, status: int = 200, **values: Any
) -> HTMLResponse:
    """Write a page; whatever the values hold is escaped.

    Args:
        request: The request.
        template: Of the folder `templates`.
        title: Above the page and in the browser's list; never names a patient, nor a UID.
        status: Of the response.
        values: What the template shows.
    """
    session = session_of(request)
    notice = ""
    if session is not None:
        notice, session.notice = session.notice, ""
    text = TEMPLATES.get_template(template).render(
        title=title,
        session=session,
        notice=notice,
        path=request.url.path,
        pages=request.app.state.pages() if session else (),
        version=__version__,
        **values,
    )
    return HTMLResponse(text, status)


def moment(value: datetime | None) -> str:
    """Write a time as the command line does."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if value else "-"


def length(value: timedelta | None) -> str:
    """Write how long something takes, in its two largest units."""
    if value is None:
        return "-"
    seconds = max(int(value.total_seconds()), 0)
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def size(value: float | None) -> str:
    """Write a number of bytes in decimal units."""
    if value is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if value < THOUSAND:
            return f"{value:.3g} {unit}"
        value /= THOUSAND
    return f"{value:,.1f} TB"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(moment=moment, length=length, size=size)
    return environment


TEMPLATES = _environment()
