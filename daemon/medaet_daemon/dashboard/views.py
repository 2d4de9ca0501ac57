"""One function a page: what it shows, read by SELECTs; nothing here changes anything."""

import re
import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

import structlog
from sqlalchemy import text
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from medaet.cli.plugin_list import HASH_DIGITS, rows_of
from medaet.cli.trainings import how_far
from medaet.errors import DatabaseUnavailableError
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.queue.trainings import TrainingQueue
from medaet.queue.trials import last_failures
from medaet.store.associations import AssociationStore
from medaet.store.tables import DeliveryState, JobState
from medaet_daemon.dashboard.attention import attention
from medaet_daemon.dashboard.board import Board, board_of, page, session_of
from medaet_daemon.dashboard.listings import ROWS_A_PAGE, Listings
from medaet_daemon.dashboard.queries import Queries

log = structlog.get_logger()

DAY = timedelta(days=1)
REFRESH_SECONDS = (15, 60)
MOST_PAGES = 9999
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")

Word = TypeVar("Word", bound=StrEnum)


def overview(request: Request) -> Response:
    """Show how the queues, the senders, the peers and the disk do, and what a person should look at."""
    board = board_of(request)
    queries, now = Queries(board.reader), board.clock.now()
    counts, traffic = queries.job_counts(), queries.traffic()
    disk = shutil.disk_usage(board.config.spool.path)
    seconds = _number(request, "refresh")
    names = {one.ae_title: one.name for one in board.config.peers}
    return page(
        request,
        "overview.html",
        title="Overview",
        refresh=seconds if seconds in REFRESH_SECONDS else None,
        intervals=REFRESH_SECONDS,
        attention=attention(board, disk.free, counts, queries.oldest_due(), traffic),
        jobs=counts,
        series=queries.series_counts(),
        studies=queries.study_count(),
        held=Listings(board.reader).held_jobs(),
        devices=queries.devices(now - DAY),
        wanted=board.config.worker.devices,
        traffic=traffic,
        received=[(title, names.get(title, ""), at) for title, at in queries.last_received()],
        now=now,
        free_bytes=disk.free,
        total_bytes=disk.total,
        reserve_bytes=board.config.spool.minimum_free_bytes,
        dead_jobs=_jobs(board).list(JobState.DEAD, limit=5),
        dead_deliveries=_deliveries(board).list(DeliveryState.DEAD, limit=5),
    )


def studies(request: Request) -> Response:
    """List studies, the newest first."""
    number = min(_number(request, "page") or 1, MOST_PAGES)
    found = Listings(board_of(request).reader).studies(number)
    return page(
        request,
        "studies.html",
        title="Studies",
        studies=found,
        number=number,
        more=len(found) == ROWS_A_PAGE,
    )


def jobs(request: Request) -> Response:
    """List jobs, the newest first."""
    return _queue_page(request, "jobs", JobState, _jobs(board_of(request)).list)


def deliveries(request: Request) -> Response:
    """List deliveries, the newest first."""
    return _queue_page(request, "deliveries", DeliveryState, _deliveries(board_of(request)).list)


def _queue_page(
    request: Request, what: str, states: type[Word], listed: Callable[..., Sequence[Any]]
) -> Response:
    """List what is in a queue, in one state or in all, a page at a time."""
    state, before = _word(request, states), _number(request, "before")
    found = listed(state, before=before, limit=ROWS_A_PAGE)
    return page(
        request,
        f"{what}.html",
        title=what.capitalize(),
        rows=found,
        state=state,
        states=list(states),
        before=before,
        next_before=found[-1].id if len(found) == ROWS_A_PAGE else None,
    )


def peers(request: Request) -> Response:
    """List the configured peers with their traffic, and whoever else sends."""
    board = board_of(request)
    queries = Queries(board.reader)
    received = dict(queries.last_received())
    titles = {one.ae_title for one in board.config.peers}
    return page(
        request,
        "peers.html",
        title="Peers",
        peers=board.config.peers,
        received=received,
        sent={one.peer: one for one in queries.traffic()},
        strangers=[(title, at) for title, at in received.items() if title not in titles],
        lately=AssociationStore(board.reader, board.clock).traffic(DAY),
        now=board.clock.now(),
    )


def plugins(request: Request) -> Response:
    """List the installed analyses as `medaet plugins list` does."""
    board = board_of(request)
    return page(
        request,
        "plugins.html",
        title="Plugins",
        analyses=rows_of(board.config, board.registry, last_failures(board.reader)),
        refused=board.registry.refused,
        hash_digits=HASH_DIGITS,
    )


def trainings(request: Request) -> Response:
    """List training runs as `medaet trainings list` does."""
    board = board_of(request)
    runs = TrainingQueue(board.reader, board.clock).list(limit=ROWS_A_PAGE)
    return page(
        request,
        "trainings.html",
        title="Training runs",
        runs=[(one, how_far(one)) for one in runs],
    )


def healthz(request: Request) -> Response:
    """Say whether the dashboard and its database answer, and nothing else."""
    try:
        with board_of(request).reader.read() as session:
            session.execute(text("SELECT 1"))
    except DatabaseUnavailableError:
        return PlainTextResponse("unavailable\n", 503)
    return PlainTextResponse("ok\n")


def stylesheet(request: Request) -> Response:
    """Return the one style sheet."""
    return Response(request.app.state.stylesheet, media_type="text/css")


def icon(request: Request) -> Response:
    """Return the sign in the browser's tab."""
    return Response(request.app.state.icon, media_type="image/svg+xml")


def find_study(request: Request) -> Response:
    """Go to the study of a UID; the UID travels in a form, never in an address."""
    uid = request.scope["medaet.form"].get("uid", "").strip()
    study_id = Listings(board_of(request).reader).study_id(uid[:64])
    session = session_of(request)
    if study_id is None and session is not None:
        session.notice = "No study of that UID is kept here."
        return RedirectResponse("/studies", 303)
    return RedirectResponse(f"/studies/{study_id}", 303)


def _jobs(board: Board) -> JobQueue:
    return JobQueue(board.reader, board.clock)


def _deliveries(board: Board) -> DeliveryQueue:
    return DeliveryQueue(board.reader, board.clock)


def _number(request: Request, key: str) -> int | None:
    """Read a positive number of a query; None when there is none.

    Raises:
        HTTPException: it is something else.
    """
    given = request.query_params.get(key)
    if given in (None, ""):
        return None
    if not _NUMBER.fullmatch(str(given)):
        raise HTTPException(400, f"{key} takes a number")
    return int(str(given))


def _word(request: Request, words: type[Word]) -> Word | None:
    """Read one of some words of a query; None when there is none.

    Raises:
        HTTPException: it is something else.
    """
    given = request.query_params.get("state")
    if given in (None, ""):
        return None
    known: Sequence[str] = [one.value for one in words]
    if given not in known:
        raise HTTPException(400, f"state takes one of {', '.join(known)}")
    return words(given)
