"""What stands before every page: who asks, from where, with which form; and the headers of every answer.

Nothing is open unless it is listed here: a route that somebody adds asks for a login by itself.
"""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from urllib.parse import parse_qsl

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medaet import logs
from medaet_daemon.dashboard.board import Board, page

log = structlog.get_logger()

LOGIN = "/login"
OPEN = frozenset({LOGIN, "/healthz", "/metrics", "/static/medaet.css", "/static/medaet.svg"})
"""What takes no session; /metrics looks after itself."""

METHODS = frozenset({"GET", "HEAD", "POST"})
FORM = "application/x-www-form-urlencoded"
FORM_BYTES = 8192
FORM_FIELDS = 8
FORM_SECONDS = 10
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """An ASGI application around the pages.

    Args:
        app: The pages.
        board: Knows who is logged in.
    """

    def __init__(self, app: ASGIApp, board: Board) -> None:
        self._app = app
        self._board = board
        self._cookie, self._login_cookie = cookie_names(sealed=board.config.web.is_sealed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        answer = _Answer(send)
        try:
            refusal = await self._refusal(scope, receive)
            await (refusal or self._app)(scope, receive, answer)
        except Exception as error:  # noqa: BLE001 -- a defect of one page must not end the others
            if not scope.get("medaet.told"):
                tell(scope, error)
            if not answer.started:
                await self._problem(scope, 500, "This page could not be made")(
                    scope, receive, answer
                )

    async def _refusal(self, scope: Scope, receive: Receive) -> ASGIApp | None:
        """Find out who asks and what for; return the answer when it is no."""
        headers, path = Headers(scope=scope), scope["path"]
        token = cookie_parser(headers.get("cookie", "")).get(self._cookie, "")
        session = self._board.sessions.find(token) if token else None
        scope["medaet.session"], scope["medaet.token"] = session, token
        if scope["method"] not in METHODS:
            return self._problem(scope, 405, "Pages are read, and forms are sent")
        if session is None and path not in OPEN:
            if scope["method"] == "POST":
                return self._problem(scope, 401, "Log in first")
            return RedirectResponse(LOGIN, 303)
        return await self._form_refusal(scope, receive) if scope["method"] == "POST" else None

    async def _form_refusal(self, scope: Scope, receive: Receive) -> ASGIApp | None:
        """Read a form; return the answer when it is none, or not one that we wrote for whoever sends it."""
        headers, session = Headers(scope=scope), scope["medaet.session"]
        form = await _form(headers, receive)
        if form is None:
            return self._problem(scope, 400, "This is no form of the dashboard")
        expected = session.csrf if session else ""
        login = cookie_parser(headers.get("cookie", "")).get(self._login_cookie)
        if scope["path"] == LOGIN and login:
            expected = self._board.sessions.login_token(login)
        given = form.get("csrf", "")
        foreign = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        if foreign or not expected or not hmac.compare_digest(given.encode(), expected.encode()):
            log.warning("form.refused", user=session.user if session else "")
            return self._problem(scope, 403, "The form has expired: load the page again")
        scope["medaet.form"] = form
        return None

    def _problem(self, scope: Scope, status: int, what: str) -> Response:
        scope["app"] = self._app
        return page(Request(scope), "message.html", title=what, status=status, text="")


class _Answer:
    """Sends an answer with the headers that all of them have."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            MutableHeaders(scope=message).update(HEADERS)
        await self._send(message)


def cookie_names(*, sealed: bool) -> tuple[str, str]:
    """Return the names of the cookies of a session and of the login form.

    The prefix makes browsers refuse them from anywhere else than this very host, over TLS (RFC 6265bis).
    """
    prefix = "__Host-" if sealed else ""
    return f"{prefix}medaet", f"{prefix}medaet-login"


async def _form(headers: Headers, receive: Receive) -> Mapping[str, str] | None:
    """Read a small form; None for anything else."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return None
    body = b""
    try:
        async with asyncio.timeout(FORM_SECONDS):
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message["type"] == "http.request" and message.get("more_body", False)
                if len(body) > FORM_BYTES or message["type"] == "http.disconnect":
                    return None
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=FORM_FIELDS,
            errors="strict",
        )
    except (TimeoutError, ValueError):
        return None
    return dict(pairs)


def tell(scope: Scope, error: Exception) -> None:
    """Write down a defect, once, before anything is answered."""
    scope["medaet.told"] = True
    log.error("page.failed", page=page_name(scope), **logs.frames(error))


def page_name(scope: Scope) -> str:
    """Name the page that was asked for, not its address: a stranger may have written anything into that."""
    return str(getattr(scope.get("endpoint"), "__name__", "unknown"))


class Neighbours:
    """Lets in what comes from the reverse proxy, or from this host, and nobody else.

    Args:
        app: What answers those.
        networks: The proxy's addresses.
    """

    def __init__(self, app: ASGIApp, networks: Sequence[str]) -> None:
        self._app = app
        self._networks = [ip_network(one) for one in networks]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "http" and not self._knows(scope):
            await PlainTextResponse("forbidden\n", 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        try:
            address = ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        return address.is_loopback or any(address in one for one in self._networks)
