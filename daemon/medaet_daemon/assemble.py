"""Close a series that is complete, has been quiet long enough, or has been open too long, and record why."""

from datetime import datetime, timedelta

import structlog

from medaet.clock import Clock
from medaet.config.model import SeriesSection
from medaet.errors import OutOfSpaceError
from medaet.store.associations import AssociationStore, Share
from medaet.store.files import Spool, sha256_of
from medaet.store.instances import InstanceStore
from medaet.store.states import INCOMPLETE
from medaet.store.studies import StudyStore
from medaet.store.tables import SeriesRow
from medaet_daemon.completion import Judgement, Verdict, judge
from medaet_daemon.source import Source

log = structlog.get_logger()

POLL = timedelta(milliseconds=250)
MOST_TOLD = 10_000


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
        source: Source,
    ) -> None:
        self._studies = studies
        self._instances = instances
        self._associations = AssociationStore(instances.database, clock)
        self._spool = spool
        self._quiet = timedelta(seconds=rules.quiet_period_seconds)
        self._grace = min(timedelta(seconds=rules.grace_period_seconds), self._quiet)
        self._longest = timedelta(seconds=rules.maximum_wait_seconds)
        self._clock = clock
        self._source = source
        self._told: dict[int, str] = {}

    def step(self) -> timedelta:
        """Close every series that may close."""
        for series in self._studies.quiet_series(self._grace, self._longest):
            at_source = self._source.count(series)
            if self._source.is_thinking(series):
                continue
            shares = self._associations.of_series(series.id)
            verdict = judge(self._instances.attributes(series.id), shares, at_source)
            reason = self._reason(series, verdict, _settled_at(series, shares))
            if reason is not None:
                self._close(series, verdict, reason)
            elif verdict.judgement is Judgement.INCOMPLETE:
                self._wait(series, verdict)
        return POLL

    def close(self) -> None:
        """Stop asking sources."""
        self._source.close()

    def _wait(self, series: SeriesRow, verdict: Verdict) -> None:
        """Say once what a silent series waits for, and again when that changes."""
        is_silent = self._clock.now() - series.last_received_at >= self._quiet
        if is_silent and self._told.get(series.id) != verdict.reason:
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            self._told[series.id] = verdict.reason
            self._studies.wait(series, verdict.reason, series.opened_at + self._longest)
            log.info("series.waiting", series_id=series.id, reason=verdict.reason)

    def _close(self, series: SeriesRow, verdict: Verdict, reason: str) -> None:
        self._digest(series)
        seen = series.last_received_at
        if not self._studies.close(series.id, series.generation, reason, last_received_at=seen):
            return
        keys = {"series_id": series.id, "generation": series.generation, "reason": reason}
        if verdict.judgement is Judgement.INCOMPLETE:
            log.warning("series.incomplete", **keys)
        else:
            log.info("series.closed", **keys)

    def _digest(self, series: SeriesRow) -> None:
        """Compute the digests that jobs are recognised by, which the receiver left for a quieter moment."""
        found = []
        for one, path in self._instances.undigested_of(series.id):
            try:
                found.append((one, sha256_of(self._spool.path(path))))
            except OutOfSpaceError as error:  # whoever needs the file will say so too
                log.error("digest.failed", series_id=series.id, reason=str(error))
        self._instances.keep_digests(found)

    def _reason(self, series: SeriesRow, verdict: Verdict, settled_at: datetime) -> str | None:
        """Say why a series is to be closed now; None to wait on."""
        now = self._clock.now()
        is_overdue = now - series.opened_at >= self._longest
        longest = f"{self._longest.total_seconds():g} s"
        if verdict.judgement is Judgement.COMPLETE and now - settled_at >= self._grace:
            return f"complete: {verdict.reason}"
        if verdict.judgement is Judgement.INCOMPLETE:
            return f"{INCOMPLETE} after {longest}: {verdict.reason}" if is_overdue else None
        if now - series.last_received_at >= self._quiet:
            return f"no instance for {self._quiet.total_seconds():g} s"
        return f"open for {longest}, the longest wait" if is_overdue else None


def _settled_at(series: SeriesRow, shares: list[Share]) -> datetime:
    """Since when nothing has changed: neither an instance came, nor an association ended."""
    return max([series.last_received_at, *(one.ended_at for one in shares if one.ended_at)])
