"""Match closed series to analyses and routes; enqueue one job per match, and write down why or why not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from medaet.clock import Clock
from medaet.config.model import Config
from medaet.dicom.origin import read_origin
from medaet.plugin.analysis import Analysis
from medaet.plugin.hooks import Route as Way
from medaet.plugin.matching import Candidate, matched, objections
from medaet.plugin.partner import SAME_STUDY
from medaet.plugin.registry import Registry
from medaet.queue.jobs import JobQueue, NewJob
from medaet.routes import Part
from medaet.store import events, origins, waits
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.secret import patient_key
from medaet.store.tables import InstanceRow, Priority, SeriesRow, SeriesState
from medaet_daemon.neighbours import Neighbours, neighbours, without_results
from medaet_daemon.request import Wanted, first_of, request, wanted_by

log = structlog.get_logger()

POLL = timedelta(milliseconds=250)
AT_ONCE = timedelta(0)


class Dispatch:
    """The stage that turns closed series into jobs."""

    name = "dispatch"

    def __init__(  # one argument for each thing the stage touches
        self,
        database: Database,
        spool: Spool,
        jobs: JobQueue,
        registry: Registry,
        config: Config,
        clock: Clock,
    ) -> None:
        self._database = database
        self._spool = spool
        self._jobs = jobs
        self._registry = registry
        self._config = config
        self._clock = clock
        self._key = patient_key(spool.root)
        self._hooks = registry.hooks(config.hooks.plugins)

    def step(self) -> timedelta:
        """Dispatch the series that closed first, or end the wait that is over, in one transaction."""
        oldest = (
            select(SeriesRow)
            .where(SeriesRow.state == SeriesState.CLOSED)
            .order_by(SeriesRow.closed_at, SeriesRow.id)
            .limit(1)
        )
        with self._database.read() as session:
            series = session.scalars(oldest).one_or_none()
            paths = _paths(session, series) if series else []
            is_over = waits.is_any_over(session, self._clock.now())
        if series is not None:
            return self._dispatch(series, paths)
        if is_over:
            with self._database.write() as session:
                self._end_wait(session)
            return AT_ONCE
        return POLL

    def _dispatch(self, seen: SeriesRow, paths: Sequence[str]) -> timedelta:
        """Read where a series comes from, outside of any transaction, and compare it with every analysis."""
        self._registry.refresh()
        origin = read_origin([self._spool.path(path) for path in paths], self._key)
        unchanged = select(SeriesRow).where(
            SeriesRow.id == seen.id,
            SeriesRow.generation == seen.generation,
            SeriesRow.state == SeriesState.CLOSED,
        )
        with self._database.write() as session:
            series = session.scalars(unchanged.with_for_update(skip_locked=True)).one_or_none()
            if series is None:
                return POLL
            series.state = SeriesState.DISPATCHED
            origins.keep(session, series.id, series.generation, origin)
            near = neighbours(session, series, self._spool)
            enqueued = sum(
                self._try(session, analysis, near)
                for _, analysis in sorted(self._registry.analyses.items())
            )
        log.info(
            "series.dispatched", series_id=series.id, generation=series.generation, jobs=enqueued
        )
        return AT_ONCE

    def _try(self, session: Session, analysis: type[Analysis], near: Neighbours) -> bool:
        """Enqueue a job of one analysis if the series fits; record the reason either way."""
        trigger = near.trigger
        near = without_results(session, near, analysis)
        if trigger not in near.series:
            return False
        failed = {
            role: [str(check) for check in selector.checks(trigger.facts) if not check.passed]
            for role, selector in analysis.inputs.items()
        }
        if all(failed.values()):
            for role, sentences in failed.items():
                self._note(
                    session, near, "analysis.unmatched", analysis, role=role, failed=sentences
                )
            return False
        found = matched(analysis, near.series, needed=trigger)
        inputs = {role: near.rows[one.key] for role, one in found.items()}
        wanted = wanted_by(session, self._config, analysis.name, list(inputs.values()))
        if not wanted:
            self._note(session, near, "analysis.unrouted", analysis)
            return False
        refusal = self._refusal(analysis, trigger)
        if refusal is not None:
            event, reason = refusal
            self._note(session, near, event, analysis, reason=reason)
            return False
        if len(found) < len(analysis.inputs):
            return self._wait(session, analysis, near, found, wanted)
        return self._enqueue(session, analysis, near, inputs, wanted)

    def _refusal(self, analysis: type[Analysis], trigger: Candidate) -> tuple[str, str] | None:
        """Say why an analysis that is asked for must not run: an event, and its reason."""
        if analysis.name in self._registry.disabled:
            return "analysis.disabled", "it is switched off"
        reason = self._hooks.veto(trigger.facts, analysis.name)
        return ("analysis.vetoed", reason) if reason is not None else None

    def _wait(
        self,
        session: Session,
        analysis: type[Analysis],
        near: Neighbours,
        found: Mapping[str, Candidate],
        wanted: Sequence[Wanted],
    ) -> bool:
        """Let the series wait for its partners as long as the manifest says, or settle at once."""
        missing = [role for role in analysis.inputs if role not in found]
        for one in objections(analysis, found, near.series):
            self._note(
                session,
                near,
                "partner.refused",
                analysis,
                role=one.role,
                partner=one.series_instance_uid,
                reason=one.reason,
            )
        limit = _limit(analysis, missing)
        if limit is not None and limit <= AT_ONCE:
            return self._settle(session, analysis, near, found, wanted)
        told = "as long as it is kept"
        if limit is not None:
            until = self._clock.now() + limit
            waits.begin(session, analysis.name, near.rows[near.trigger.key], until)
            told = f"until {until:%Y-%m-%d %H:%M:%S} UTC"
        self._note(session, near, "analysis.waiting", analysis, roles=missing, limit=told)
        return False

    def _end_wait(self, session: Session) -> None:
        """Run what waited in vain without its partners, or give it up."""
        wait = waits.take_over(session, self._clock.now())
        analysis = self._registry.analyses.get(wait.analysis) if wait else None
        if wait is None or wait.series is None or analysis is None:
            return
        near = neighbours(session, wait.series, self._spool)
        near = without_results(session, near, analysis)
        found = matched(analysis, near.series, needed=near.trigger)
        inputs = {role: near.rows[one.key] for role, one in found.items()}
        wanted = wanted_by(session, self._config, analysis.name, list(inputs.values()))
        if found and wanted:
            self._settle(session, analysis, near, found, wanted)

    def _settle(
        self,
        session: Session,
        analysis: type[Analysis],
        near: Neighbours,
        found: Mapping[str, Candidate],
        wanted: Sequence[Wanted],
    ) -> bool:
        """Run an analysis with the series there are, if it can do without the others; else give it up."""
        missing = [role for role in analysis.inputs if role not in found]
        optional = [role for role in missing if analysis.partners.get(role, SAME_STUDY).optional]
        if optional != missing:
            self._note(session, near, "analysis.abandoned", analysis, roles=missing)
            return False
        if missing:
            self._note(session, near, "analysis.reduced", analysis, roles=missing)
        inputs = {role: near.rows[one.key] for role, one in found.items()}
        return self._enqueue(session, analysis, near, inputs, wanted)

    def _enqueue(
        self,
        session: Session,
        analysis: type[Analysis],
        near: Neighbours,
        inputs: Mapping[str, SeriesRow],
        wanted: Sequence[Wanted],
    ) -> bool:
        if all(part is Part.STORE for _, part in wanted):
            self._note(session, near, "analysis.shadowed", analysis)
        new = request(session, self._config, analysis, inputs, wanted, self._hooks.versions)
        if any(part is Part.DELIVER for _, part in wanted):
            new = self._rerouted(new, analysis, near, inputs)  # what is stored only stays with us
        job_id = self._jobs.enqueue(session, new)
        waits.end(session, analysis.name, [one.id for one in inputs.values()])
        told: set[int] = set()
        for series in inputs.values():
            if series.study_id not in told:  # each study explains itself
                events.record(
                    session,
                    study_id=series.study_id,
                    name="analysis.matched",
                    at=self._clock.now(),
                    series_id=series.id,
                    analysis=analysis.name,
                    job=job_id,
                )
            told.add(series.study_id)
        return job_id is not None

    def _rerouted(
        self,
        new: NewJob,
        analysis: type[Analysis],
        near: Neighbours,
        inputs: Mapping[str, SeriesRow],
    ) -> NewJob:
        """Let hooks change who gets the results, and how soon."""
        series = first_of(analysis, inputs)
        facts = next(one.facts for one in near.series if near.rows[one.key].id == series.id)
        way = Way(tuple(new.send_to), urgent=new.priority is Priority.STAT)
        way = self._hooks.route(facts, analysis.name, way)
        priority = Priority.STAT if way.urgent else Priority.ROUTINE
        return replace(new, send_to=way.send_to, priority=priority)

    def _note(
        self,
        session: Session,
        near: Neighbours,
        name: str,
        analysis: type[Analysis],
        **details: Any,
    ) -> None:
        """Write down what came of an analysis, for the triggering series."""
        series = near.rows[near.trigger.key]
        note = partial(events.record, session, study_id=series.study_id, series_id=series.id)
        note(name=name, at=self._clock.now(), analysis=analysis.name, **details)


def _paths(session: Session, series: SeriesRow) -> Sequence[str]:
    return session.scalars(
        select(InstanceRow.path)
        .where(InstanceRow.series_id == series.id, InstanceRow.replaced_at.is_(None))
        .order_by(InstanceRow.sop_instance_uid)
    ).all()


def _limit(analysis: type[Analysis], missing: Sequence[str]) -> timedelta | None:
    """Return how long the roles that are missing are waited for; None for as long as the others are kept.

    When the first role is missing, the others wait for it as long as it would have waited for them.
    """
    first, *others = analysis.inputs
    waited_for = others if first in missing else missing
    limits = [analysis.partners.get(role, SAME_STUDY).wait for role in waited_for]
    known = [one for one in limits if one is not None]
    return max(known) if len(known) == len(limits) else None
