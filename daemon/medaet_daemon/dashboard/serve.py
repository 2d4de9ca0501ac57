"""The web process: one uvicorn server, until SIGTERM."""

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from types import FrameType

import structlog
import uvicorn

from medaet.clock import SystemClock
from medaet.config.model import Config
from medaet.errors import ConfigError
from medaet.network.listening import listening_socket
from medaet.store import migrate
from medaet_daemon.dashboard.application import application
from medaet_daemon.dashboard.board import Board

log = structlog.get_logger()

MOST_CONNECTIONS = 64
IDLE_SECONDS = 15
DRAIN_SECONDS = 5
HEADER_BYTES = 16_384


def serve(config: Config, ready: Callable[[], None]) -> None:
    """Answer browsers until SIGTERM or SIGINT.

    Args:
        config: The whole configuration.
        ready: Called once the port is ours.

    Raises:
        ConfigError: the port cannot be bound, the certificate cannot be read, or there is no database of this version.
    """
    web = config.web
    current = migrate.current(config.database_url)
    if current != migrate.head():
        raise ConfigError(
            "database.url: there is no database of this version; start medaetd once, or `medaet db upgrade`"
        )
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False  # a traceback quotes values, perhaps a patient's
    with closing(Board.of(config, SystemClock())) as board:
        options = uvicorn.Config(
            application(board),
            lifespan="off",
            ws="none",
            loop="asyncio",
            http="h11",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            h11_max_incomplete_event_size=HEADER_BYTES,
            ssl_certfile=web.tls.cert_file if web.tls else None,
            ssl_keyfile=web.tls.key_file if web.tls else None,
        )
        try:
            options.load()
        except OSError as error:
            raise ConfigError(f"web.tls: the certificate cannot be used: {error}") from error
        with closing(listening_socket(web.host, web.port, section="web")) as listening:
            ready()
            log.info("dashboard.started", host=web.host, port=web.port)
            _Server(options).run([listening])
    log.info("dashboard.stopped")


class _Server(uvicorn.Server):
    """Ends by itself on a signal, instead of raising it again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        yield
