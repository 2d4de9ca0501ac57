"""The way in and out: the login form, tries that are counted, and logout."""

import re
import secrets
import threading

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from medaet.errors import ConfigError
from medaet.store.users import NOBODY, User, fits
from medaet_daemon.dashboard.board import Board, board_of, page, session_of
from medaet_daemon.dashboard.guard import cookie_names

log = structlog.get_logger()

ONE_AT_A_TIME = threading.Lock()
"""A password takes 32 MB and a core while it is compared."""

PATIENCE_SECONDS = 5.0
NONCE_BYTES = 24
NONCE = re.compile(r"[A-Za-z0-9_-]{32}")


def show_login(request: Request) -> Response:
    """Show the login form."""
    if session_of(request) is not None:
        return RedirectResponse("/", 303)
    return _form(request, 200, "")


def log_in(request: Request) -> Response:
    """Compare a name and a password; open a session when they fit."""
    board, form = board_of(request), request.scope["medaet.form"]
    address = request.client.host if request.client else ""
    wait = board.tries.wait(address)
    if wait:
        log.warning("login.throttled", address=address)
        response = _form(request, 429, "Too many tries: wait a few minutes")
        response.headers["retry-after"] = str(int(wait.total_seconds()) + 1)
        return response
    user = _known(board, form.get("name", ""), form.get("password", ""))
    if user is None:
        log.warning("login.refused", address=address)
        return _form(request, 403, "Name and password do not fit")
    board.tries.forgive(address)
    log.info("login.accepted", user=user.name, role=user.role.value, address=address)
    response = RedirectResponse("/", 303)
    cookie, login_cookie = cookie_names(sealed=board.config.web.is_sealed)
    _set(response, board, cookie, board.sessions.open(user))
    _forget(response, board, login_cookie)
    return response


def log_out(request: Request) -> Response:
    """End the session."""
    board, session = board_of(request), session_of(request)
    board.sessions.close(request.scope["medaet.token"])
    log.info("session.ended", user=session.user if session else "")
    response = RedirectResponse("/login", 303)
    _forget(response, board, cookie_names(sealed=board.config.web.is_sealed)[0])
    return response


def _known(board: Board, name: str, password: str) -> User | None:
    """Return the user whom a name and a password fit; a name that nobody has takes as long."""
    try:
        users = board.users.all()
    except ConfigError as error:
        log.error("users.refused", reason=str(error))
        users = {}
    user = users.get(name, NOBODY)
    if not ONE_AT_A_TIME.acquire(timeout=PATIENCE_SECONDS):
        return None
    try:
        return user if fits(user, password) and user is not NOBODY else None
    finally:
        ONE_AT_A_TIME.release()


def _form(request: Request, status: int, problem: str) -> Response:
    board = board_of(request)
    _, login_cookie = cookie_names(sealed=board.config.web.is_sealed)
    # Browsers ask for an icon behind the form's back, and people open it twice: what was shown must stay good.
    given = request.cookies.get(login_cookie, "")
    nonce = given if NONCE.fullmatch(given) else secrets.token_urlsafe(NONCE_BYTES)
    response = page(
        request,
        "login.html",
        title="Log in",
        status=status,
        problem=problem,
        csrf=board.sessions.login_token(nonce),
        nobody=not _anybody(board),
    )
    _set(response, board, login_cookie, nonce)
    return response


def _anybody(board: Board) -> bool:
    try:
        return bool(board.users.all())
    except ConfigError:  # told in the journal with the next try, and by `medaet doctor`
        return False


def _set(response: Response, board: Board, name: str, value: str) -> None:
    response.set_cookie(
        name, value, secure=board.config.web.is_sealed, httponly=True, samesite="strict"
    )


def _forget(response: Response, board: Board, name: str) -> None:
    response.delete_cookie(
        name, secure=board.config.web.is_sealed, httponly=True, samesite="strict"
    )
