"""Pages of plugins: listed here, made in a process of their own that is ended when it takes too long."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from medaet import logs
from medaet_daemon.dashboard.board import Board, board_of, page
from medaet_daemon.dashboard.plugin_page import offered

log = structlog.get_logger()

COMMAND = (sys.executable, "-P", "-m", "medaet_daemon.dashboard.plugin_page")
PAGE_SECONDS = 15.0
PATIENCE_SECONDS = 5.0
AT_ONCE = threading.Semaphore(2)
"""So many such processes, however many people look."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page in the navigation."""

    plugin: str
    name: str
    title: str

    @property
    def address(self) -> str:
        """Where it is."""
        return f"/pages/{self.plugin}/{self.name}"


def listed(board: Board) -> list[Listed]:
    """List the pages of the plugins in force, in the configuration's order; one that fails has none."""
    found: list[Listed] = []
    for name in board.config.hooks.plugins:
        manager = board.registry.plugins.get(name)
        if manager is None:
            continue
        try:
            pages = list(offered(manager))
        except Exception as error:  # noqa: BLE001 -- a stranger's code must not cost the other pages
            log.error("hook.failed", plugin=name, **logs.frames(error))
            continue
        found += [Listed(name, one.name, one.title) for one in pages]
    return found


def plugin_page(request: Request) -> Response:
    """Show a page of a plugin, or say that it could not be made."""
    board = board_of(request)
    plugin, name = request.path_params["plugin"], request.path_params["name"]
    pages: Sequence[Listed] = request.app.state.pages()
    one = next((each for each in pages if (each.plugin, each.name) == (plugin, name)), None)
    if one is None:
        raise HTTPException(404, "There is no such page")
    blocks, problem = _made(board, one)
    return page(
        request,
        "plugin_page.html",
        title=one.title,
        status=502 if problem else 200,
        plugin=one.plugin,
        blocks=blocks,
        problem=problem,
    )


def _made(board: Board, one: Listed) -> tuple[Sequence[Mapping[str, Any]], str]:
    """Have a page made; return its blocks, and what went wrong."""
    asked = {
        "plugin": one.plugin,
        "page": one.name,
        "folder": str(board.config.hooks_path / one.plugin),
        "database_url": board.config.database_url,
    }
    if not AT_ONCE.acquire(timeout=PATIENCE_SECONDS):
        return (), "Other pages of plugins are still being made; try again in a moment."
    try:
        status, said = _run(json.dumps(asked).encode())
        answer: Mapping[str, Any] = json.loads(said)
    except subprocess.TimeoutExpired:
        log.error("hook.failed", plugin=one.plugin, error="TimeoutExpired")
        return (), f"{one.plugin} did not make this page within {PAGE_SECONDS:g} seconds."
    except ValueError:
        log.error("hook.failed", plugin=one.plugin, exit_status=status)
        return (), f"The process that makes this page of {one.plugin} ended without an answer."
    finally:
        AT_ONCE.release()
    if "error" in answer:
        log.error("hook.failed", plugin=one.plugin, **answer)
        return (
            (),
            f"{one.plugin} could not make this page: {answer['error']}. The journal tells where.",
        )
    return answer["blocks"], ""


def _run(asked: bytes) -> tuple[int, bytes]:
    """Run the process that makes a page, and end whatever it left running; return its exit status and its answer.

    Raises:
        TimeoutExpired: it did not end in time.
    """
    with subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(asked, timeout=PAGE_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, said
