"""The routes of the dashboard, and the application that answers them."""

import re
from collections.abc import Sequence
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from medaet.errors import MedaetError
from medaet_daemon.dashboard import decisions, entrance, study, views
from medaet_daemon.dashboard.board import HERE, Board, page
from medaet_daemon.dashboard.guard import Guard, Neighbours, page_name, tell
from medaet_daemon.dashboard.metrics import metrics
from medaet_daemon.dashboard.plugin_pages import Listed, listed, plugin_page

log = structlog.get_logger()


class RowNumber(Convertor[int]):
    """The number of a row: no more digits than the databases take."""

    regex = "[1-9][0-9]{0,8}"

    def convert(self, value: str) -> int:
        """Read it."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Write it."""
        return str(value)


register_url_convertor("row", RowNumber())

ROUTES = (
    Route("/", views.overview),
    Route("/studies", views.studies),
    Route("/studies/find", views.find_study, methods=["POST"]),
    Route("/studies/{study_id:row}", study.study),
    Route("/jobs", views.jobs),
    Route("/jobs/{job_id:row}", study.job),
    Route("/jobs/{job_id:row}/pictures/{number:row}", study.picture),
    Route("/jobs/{job_id:row}/retry", decisions.retry_job, methods=["POST"]),
    Route("/jobs/{job_id:row}/bury", decisions.bury_job, methods=["POST"]),
    Route("/deliveries", views.deliveries),
    Route("/deliveries/{delivery_id:row}/retry", decisions.retry_delivery, methods=["POST"]),
    Route("/peers", views.peers),
    Route("/plugins", views.plugins),
    Route("/trainings", views.trainings),
    Route("/pages/{plugin}/{name}", plugin_page),
    Route("/login", entrance.show_login),
    Route("/login", entrance.log_in, methods=["POST"]),
    Route("/logout", entrance.log_out, methods=["POST"]),
    Route("/healthz", views.healthz),
    Route("/metrics", metrics),
    Route("/static/medaet.css", views.stylesheet),
    Route("/static/medaet.svg", views.icon),
)


def application(board: Board) -> ASGIApp:
    """Build the application, with its guard before it."""
    pages = Starlette(
        routes=ROUTES,
        exception_handlers={HTTPException: _refused, MedaetError: _failed, Exception: _broken},
    )
    pages.state.board = board
    pages.state.stylesheet = (HERE / "static" / "medaet.css").read_bytes()
    pages.state.icon = (HERE / "static" / "medaet.svg").read_bytes()
    pages.state.pages = _Pages(board)
    app: ASGIApp = Guard(pages, board)
    proxies = [str(one) for one in board.config.web.proxy_addresses]
    if proxies:
        behind: Any = (
            ProxyHeadersMiddleware  # uvicorn's own types of ASGI are narrower than Starlette's
        )
        app = Neighbours(behind(app, trusted_hosts=proxies), proxies)
    return app


class _Pages:
    """Lists the pages of plugins once: plugins come and go with a restart."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._found: Sequence[Listed] | None = None

    def __call__(self) -> Sequence[Listed]:
        if self._found is None:
            self._found = listed(self._board)
        return self._found


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    plain = re.sub(r"[^\w ,.;:'-]", "", str(error.detail))
    what = plain if error.status_code != 404 or plain != "Not Found" else "There is no such page"
    return page(request, "message.html", title=what, status=error.status_code, text="")


def _failed(request: Request, error: Exception) -> Response:
    """Say that the database or the disk does not answer; the reason is for the journal."""
    name = page_name(request.scope)
    log.error("page.failed", page=name, error=type(error).__name__, reason=str(error))
    text = "The database or the disk does not answer. The journal tells why."
    return page(
        request, "message.html", title="This page cannot be made now", status=503, text=text
    )


def _broken(request: Request, error: Exception) -> Response:
    """Say that a page has a defect; the journal has its class and place."""
    tell(request.scope, error)
    return page(request, "message.html", title="This page could not be made", status=500, text="")
