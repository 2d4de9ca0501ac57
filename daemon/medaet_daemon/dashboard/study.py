"""The pages of one study and one job, and their pictures; whoever looks is written down."""

import os
from collections.abc import Sequence
from pathlib import Path

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from medaet.cli.explain import sentence
from medaet.errors import PermanentError
from medaet.queue.jobs import JobQueue
from medaet.queue.rows import Job
from medaet.queue.state import FINAL
from medaet.store.events import EventStore
from medaet.store.studies import StudyStore
from medaet.store.tables import DeliveryState, JobState
from medaet_daemon.dashboard.board import Board, board_of, page, session_of
from medaet_daemon.dashboard.listings import Listings

log = structlog.get_logger()

MOST_EVENTS = 2000
MOST_PICTURES = 100
MOST_PICTURE_BYTES = 50_000_000


def study(request: Request) -> Response:
    """Show a study: its series, jobs, deliveries, pictures, and what happened to it in order."""
    board, study_id = board_of(request), request.path_params["study_id"]
    listings = Listings(board.reader)
    uid = listings.study_uid(study_id)
    if uid is None:
        raise HTTPException(404, "There is no such study; it may have been pruned")
    _viewed(request, study_id, "study")
    summary, series = StudyStore(board.reader, board.clock).show(uid)
    jobs = listings.jobs_of_study(study_id)
    events = EventStore(board.reader).of_study(uid)
    return page(
        request,
        "study.html",
        title=f"Study {study_id}",
        study=summary,
        series=series,
        attributes=listings.series_attributes(study_id),
        jobs=jobs,
        deliveries=listings.deliveries_of_jobs([one.id for one in jobs]),
        pictures=[(one, _titles(board, one)) for one in jobs],
        events=[(one.at, sentence(one)) for one in events[-MOST_EVENTS:]],
        left_out=max(len(events) - MOST_EVENTS, 0),
    )


def job(request: Request) -> Response:
    """Show a job: its inputs, attempts, deliveries and pictures."""
    board, found = board_of(request), _job(request)
    _viewed(request, found.study_id, "job")
    return page(
        request,
        "job.html",
        title=f"Job {found.id}",
        job=found,
        deliveries=Listings(board.reader).deliveries_of_jobs([found.id]),
        pictures=_titles(board, found),
        may_retry=found.state is JobState.DEAD,
        may_bury=found.state not in FINAL,
        retriable=(DeliveryState.DEAD, DeliveryState.READY),
    )


def picture(request: Request) -> Response:
    """Return a picture of a job's results, by its number among them."""
    board, found = board_of(request), _job(request)
    files = _files(board, found)
    number = request.path_params["number"]
    if number > len(files):
        raise HTTPException(404, "There is no such picture")
    _viewed(request, found.study_id, "picture")
    try:
        descriptor = os.open(files[number - 1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(MOST_PICTURE_BYTES)
    except OSError as error:
        raise HTTPException(404, "The picture is gone") from error
    return Response(content, media_type="image/png")


def _job(request: Request) -> Job:
    board = board_of(request)
    try:
        return JobQueue(board.reader, board.clock).get(request.path_params["job_id"])
    except PermanentError as error:
        raise HTTPException(404, "There is no such job") from error


def _files(board: Board, job: Job) -> Sequence[Path]:
    """List the pictures that the encoder left beside the results, in the order of their names."""
    folder = board.config.spool.path / "results" / str(job.id)
    return sorted(folder.glob("*.png"))[:MOST_PICTURES]


def _titles(board: Board, job: Job) -> list[str]:
    """Say what each picture shows."""
    return [f"{job.analysis}: {one.stem.replace('-on-', ' on ')}" for one in _files(board, job)]


def _viewed(request: Request, study_id: int, what: str) -> None:
    """Write down who looked at a study."""
    session = session_of(request)
    log.info(
        "study.viewed",
        study_id=study_id,
        what=what,
        user=session.user if session else "",
        address=request.client.host if request.client else "",
    )
