"""/metrics: what the tables say, in Prometheus' text format; no patient, no UID and no stranger's AE title is in it."""

import hmac
import shutil
import threading
from collections.abc import Iterator
from ipaddress import ip_address

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from medaet import __version__
from medaet_daemon.dashboard.board import Board, board_of
from medaet_daemon.dashboard.queries import Queries, waited

log = structlog.get_logger()

FORWARDED = ("forwarded", "x-forwarded-for", "via")
SHORTEST_TOKEN = 16


def metrics(request: Request) -> Response:
    """Return the metrics to whoever shows the token, or to this host where no token is configured."""
    board = board_of(request)
    if not _may_read(request, board):
        return PlainTextResponse("forbidden\n", 403)
    with ONE_AT_A_TIME:
        registry = CollectorRegistry()
        registry.register(Tables(board))
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})


ONE_AT_A_TIME = threading.Lock()


class Tables(Collector):
    """Reads the tables whenever Prometheus asks; nothing is counted in this process."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._queries = Queries(board.reader)

    def describe(self) -> Iterator[Metric]:
        """Name nothing beforehand: that would read the tables once more."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read everything."""
        yield _one("medaet_build_info", "Always 1.", 1, version=__version__)
        yield from self._work()
        yield from self._peers()
        yield from self._disk()

    def _work(self) -> Iterator[Metric]:
        queries, now = self._queries, self._board.clock.now()
        yield _one("medaet_studies", "Studies that are kept.", queries.study_count())
        series = GaugeMetricFamily("medaet_series", "Series by state.", labels=["state"])
        for series_state, count in queries.series_counts().items():
            series.add_metric([series_state.value], count)
        yield series
        jobs = GaugeMetricFamily(
            "medaet_jobs", "Jobs by analysis and state.", labels=["analysis", "state"]
        )
        for analysis, state, count in queries.job_counts_by_analysis():
            jobs.add_metric([analysis, state.value], count)
        yield jobs
        yield _one(
            "medaet_oldest_ready_job_seconds",
            "How long the job that waits longest has been due; 0 when none is.",
            waited(queries.oldest_due(), now).total_seconds(),
        )

    def _peers(self) -> Iterator[Metric]:
        board = self._board
        now, names = board.clock.now(), {one.ae_title: one.name for one in board.config.peers}
        counted = GaugeMetricFamily(
            "medaet_deliveries", "Deliveries by peer and state.", labels=["peer", "state"]
        )
        waits = GaugeMetricFamily(
            "medaet_oldest_waiting_delivery_seconds",
            "How long the delivery to a peer that waits longest has waited.",
            labels=["peer"],
        )
        for one in self._queries.traffic():
            for state, count in (("waiting", one.waiting), ("sent", one.sent), ("dead", one.dead)):
                counted.add_metric([one.peer, state], count)
            waits.add_metric([one.peer], waited(one.waiting_since, now).total_seconds())
        yield counted
        yield waits
        received = GaugeMetricFamily(
            "medaet_last_received_timestamp_seconds",
            "When the newest instance of a configured peer came.",
            labels=["peer"],
        )
        for title, at in self._queries.last_received():
            if title in names:  # anybody may call under any title: only ours become labels
                received.add_metric([names[title]], at.timestamp())
        yield received

    def _disk(self) -> Iterator[Metric]:
        spool = self._board.config.spool
        disk = shutil.disk_usage(spool.path)
        yield _one("medaet_spool_free_bytes", "Free on the disk of the spool.", disk.free)
        yield _one("medaet_spool_size_bytes", "Size of the disk of the spool.", disk.total)
        yield _one(
            "medaet_spool_minimum_free_bytes",
            "Below this, instances are refused.",
            spool.minimum_free_bytes,
        )


def _one(name: str, help_text: str, value: float, **labels: str) -> Metric:
    metric = GaugeMetricFamily(name, help_text, labels=list(labels))
    metric.add_metric(list(labels.values()), value)
    return metric


def _may_read(request: Request, board: Board) -> bool:
    """Compare the token; without one, answer only this host, and no proxy that forgot to be configured."""
    file = board.config.web.metrics_token_file
    if file is None:
        host = request.client.host if request.client else ""
        try:
            local = ip_address(host).is_loopback
        except ValueError:
            local = False
        return local and not any(name in request.headers for name in FORWARDED)
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        log.error("metrics.refused", error=type(error).__name__, file=str(file))
        return False
    if len(token) < SHORTEST_TOKEN:
        log.error("metrics.refused", error=f"the token has fewer than {SHORTEST_TOKEN} characters")
        return False
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        given.strip().encode("utf-8", "replace"), token.encode()
    )
