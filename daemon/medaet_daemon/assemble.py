"""Close a series that has been quiet long enough, or open too long, and record why."""

from datetime import timedelta

import structlog

from medaet.clock import Clock
from medaet.config.model import SeriesSection
from medaet.errors import OutOfSpaceError
from medaet.store.files import Spool, sha256_of
from medaet.store.instances import InstanceStore
from medaet.store.studies import StudyStore
from medaet.store.tables import SeriesRow

log = structlog.get_logger()

POLL = timedelta(milliseconds=250)


class Assemble:
    """The stage that turns open series into closed ones."""

    name = "assemble"

    def __init__(
        self,
        studies: StudyStore,
        instances: InstanceStore,
        spool: Spool,
        rules: SeriesSection,
        clock: Clock,
    ) -> None:
        self._studies = studies
        self._instances = instances
        self._spool = spool
        self._quiet = timedelta(seconds=rules.quiet_period_seconds)
        self._longest = timedelta(seconds=rules.maximum_wait_seconds)
        self._clock = clock

    def step(self) -> timedelta:
        """Close every series that may close."""
        for series in self._studies.quiet_series(self._quiet, self._longest):
            self._digest(series)
            reason = self._reason(series)
            seen = series.last_received_at
            if self._studies.close(series.id, series.generation, reason, last_received_at=seen):
                log.info(
                    "series.closed",
                    series_id=series.id,
                    generation=series.generation,
                    reason=reason,
                )
        return POLL

    def _digest(self, series: SeriesRow) -> None:
        """Compute the digests that jobs are recognised by, which the receiver left for a quieter moment."""
        found = []
        for one, path in self._instances.undigested_of(series.id):
            try:
                found.append((one, sha256_of(self._spool.path(path))))
            except OutOfSpaceError as error:  # whoever needs the file will say so too
                log.error("digest.failed", series_id=series.id, reason=str(error))
        self._instances.keep_digests(found)

    def _reason(self, series: SeriesRow) -> str:
        if self._clock.now() - series.last_received_at >= self._quiet:
            return f"no instance for {self._quiet.total_seconds():g} s"
        return f"open for {self._longest.total_seconds():g} s, the longest wait"
