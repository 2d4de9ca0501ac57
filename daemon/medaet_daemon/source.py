"""Ask those who send how many instances their series have, without keeping the stage that wants to know."""

from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog

from medaet.clock import Clock
from medaet.config.model import Config, Peer
from medaet.errors import MedaetError
from medaet.network.query import count_instances
from medaet.store.tables import SeriesRow

log = structlog.get_logger()

ASK_AGAIN = timedelta(seconds=30)
"""A PACS may still be receiving the series itself, and a peer that did not answer may be back."""

PATIENCE = timedelta(seconds=10)
"""How long a series waits for an answer that may tell more than it shows itself."""

FORGET = timedelta(hours=1)


class Source:
    """Remembers what peers with `count_by_query` answered.

    Args:
        config: Names the peers, and our AE title.
        clock: Tells when to ask again.
        pool: Where questions are asked; None for a thread.
    """

    def __init__(self, config: Config, clock: Clock, pool: Executor | None = None) -> None:
        self._config = config
        self._clock = clock
        self._pool = pool or ThreadPoolExecutor(1, thread_name_prefix="source")
        self._asked: dict[int, datetime] = {}
        self._answers: dict[int, int] = {}
        self._under_way: set[int] = set()

    def is_thinking(self, series: SeriesRow) -> bool:
        """Whether an answer may come in a moment."""
        asked = self._asked.get(series.id)
        is_recent = asked is not None and self._clock.now() - asked < PATIENCE
        return is_recent and series.id in self._under_way

    def count(self, series: SeriesRow) -> int | None:
        """Return how many instances a series has at its source, if that is known; ask for it in the background."""
        peer, now = self._peer(series), self._clock.now()
        if peer is None:
            return None
        if now - self._asked.get(series.id, datetime.min.replace(tzinfo=now.tzinfo)) >= ASK_AGAIN:
            self._forget(now)
            self._asked[series.id] = now
            self._under_way.add(series.id)
            self._pool.submit(self._ask, peer, series)
        return self._answers.get(series.id)

    def close(self) -> None:
        """Ask no more, and wait for the answer that is under way."""
        self._pool.shutdown(cancel_futures=True)

    def _peer(self, series: SeriesRow) -> Peer | None:
        peer = self._config.peer_by_ae_title(series.calling_ae_title)
        return peer if peer is not None and peer.count_by_query else None

    def _ask(self, peer: Peer, series: SeriesRow) -> None:
        study, uid = series.study.study_instance_uid, series.series_instance_uid
        try:
            answer = count_instances(peer, self._config.listener.ae_title, study, uid)
            if answer is not None:
                self._answers[series.id] = answer
        except MedaetError as error:
            log.warning("query.failed", peer=peer.name, series_id=series.id, reason=str(error))
        finally:
            self._under_way.discard(series.id)

    def _forget(self, now: datetime) -> None:
        for series_id, asked in list(self._asked.items()):
            if now - asked > FORGET:
                del self._asked[series_id]
                self._answers.pop(series_id, None)
