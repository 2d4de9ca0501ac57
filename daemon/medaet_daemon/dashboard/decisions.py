"""What people decide: retry and bury, by the functions that the command line uses."""

from collections.abc import Callable

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from medaet.errors import PermanentError
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet_daemon.dashboard.board import Board, board_of, session_of

log = structlog.get_logger()

LONGEST_REASON = 200


def retry_job(request: Request) -> Response:
    """Send a dead job back to ready."""
    job_id = request.path_params["job_id"]
    return _decided(
        request,
        "retry",
        f"/jobs/{job_id}",
        lambda board: _jobs(board).requeue(job_id),
        f"Job {job_id} is ready again.",
    )


def bury_job(request: Request) -> Response:
    """Give up on an unfinished job."""
    job_id, session = request.path_params["job_id"], session_of(request)
    said = " ".join(request.scope["medaet.form"].get("reason", "").split())[:LONGEST_REASON]
    reason = f"buried by {session.user if session else 'a person'}{': ' + said if said else ''}"
    return _decided(
        request,
        "bury",
        f"/jobs/{job_id}",
        lambda board: _jobs(board).bury(job_id, reason),
        f"Job {job_id} is dead.",
    )


def retry_delivery(request: Request) -> Response:
    """Try a dead delivery again, or a waiting one at once."""
    delivery_id = request.path_params["delivery_id"]
    return _decided(
        request,
        "retry",
        "/deliveries",
        lambda board: DeliveryQueue(board.writer, board.clock).retry(delivery_id),
        f"Delivery {delivery_id} is ready again.",
    )


def _decided(
    request: Request, action: str, back: str, decide: Callable[[Board], None], done: str
) -> Response:
    """Do what was decided, if whoever asks may decide; write down who it was."""
    session = session_of(request)
    if session is None or not session.may_operate:
        raise HTTPException(403, "You may look, not decide; ask for the role operate")
    try:
        decide(board_of(request))
    except PermanentError as error:
        session.notice = f"Nothing was changed: {error}."
    else:
        session.notice = done
        log.info("decision.taken", action=action, user=session.user, **request.path_params)
    return RedirectResponse(back, 303)


def _jobs(board: Board) -> JobQueue:
    attempts = board.config.worker.maximum_attempts
    return JobQueue(board.writer, board.clock, maximum_attempts=attempts)
