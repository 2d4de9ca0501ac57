"""Match closed series to analyses and routes; enqueue one job per match, and write down why or why not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from medaet.clock import Clock
from medaet.config.model import Config, Route
from medaet.dicom.drawing import MODALITIES, references
from medaet.dicom.identity import SeriesFacts
from medaet.plugin.analysis import Analysis, weights_sha256
from medaet.plugin.assignment import assigned
from medaet.plugin.hooks import Route as Way
from medaet.plugin.registry import Registry
from medaet.queue.jobs import JobQueue, NewJob
from medaet.routes import Part, fulfilled, part
from medaet.store import events
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.tables import (
    InstanceRow,
    Priority,
    SeriesRow,
    SeriesState,
    StudyRow,
)
from medaet_daemon.candidate import Candidate, facts_of, is_own, key_of

log = structlog.get_logger()

POLL = timedelta(milliseconds=250)


class Dispatch:
    """The stage that turns closed series into jobs."""

    name = "dispatch"

    def __init__(
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
        self._hooks = registry.hooks(config.hooks.plugins)

    def step(self) -> timedelta:
        """Dispatch the series that closed first, in one transaction."""
        oldest = (
            select(SeriesRow)
            .where(SeriesRow.state == SeriesState.CLOSED)
            .order_by(SeriesRow.closed_at, SeriesRow.id)
            .limit(1)
        )
        with self._database.read() as session:
            if session.scalars(oldest).one_or_none() is None:
                return POLL
        self._registry.refresh()
        with self._database.write() as session:
            series = session.scalars(oldest.with_for_update(skip_locked=True)).one_or_none()
            if series is None:
                return POLL
            series.state = SeriesState.DISPATCHED
            session.flush()
            enqueued = self._dispatch(session, series)
        log.info(
            "series.dispatched", series_id=series.id, generation=series.generation, jobs=enqueued
        )
        return timedelta(0)

    def _dispatch(self, session: Session, series: SeriesRow) -> int:
        complete = self._candidates(session, series)
        trigger = next(one for one in complete if one.row.id == series.id)
        return sum(
            self._try(session, analysis, trigger, complete)
            for _, analysis in sorted(self._registry.analyses.items())
        )

    def _candidates(self, session: Session, trigger: SeriesRow) -> list[Candidate]:
        """Read the study's complete series: the triggering one, then the newest first."""
        rows = session.scalars(
            select(SeriesRow)
            .where(SeriesRow.study_id == trigger.study_id, SeriesRow.state != SeriesState.OPEN)
            .order_by(SeriesRow.id != trigger.id, SeriesRow.closed_at.desc(), SeriesRow.id.desc())
        ).all()
        return [Candidate(row, self._facts(session, row)) for row in rows]

    def _facts(self, session: Session, row: SeriesRow) -> SeriesFacts:
        """Put together what selectors ask for; only objects that draw on other series are opened again for it."""
        found = facts_of(session, row)
        if row.modality not in MODALITIES:
            return found
        stored = session.scalars(
            select(InstanceRow.path)
            .where(InstanceRow.series_id == row.id, InstanceRow.replaced_at.is_(None))
            .order_by(InstanceRow.sop_instance_uid)
        )
        return replace(found, references=references([self._spool.path(path) for path in stored]))

    def _try(
        self,
        session: Session,
        analysis: type[Analysis],
        trigger: Candidate,
        complete: Sequence[Candidate],
    ) -> bool:
        """Enqueue a job of one analysis if the series fits; record the reason either way."""
        note = partial(
            events.record,
            session,
            study_id=trigger.row.study_id,
            at=self._clock.now(),
            series_id=trigger.row.id,
            analysis=analysis.name,
        )
        if is_own(session, trigger, analysis):
            return False
        failed = {
            role: [str(check) for check in selector.checks(trigger.facts) if not check.passed]
            for role, selector in analysis.inputs.items()
        }
        if all(failed.values()):
            for role, sentences in failed.items():
                note(name="analysis.unmatched", role=role, failed=sentences)
            return False
        parts = self._parts(session, analysis.name, trigger)
        if not parts:
            note(name="analysis.unrouted")
            return False
        refusal = self._refusal(analysis, trigger)
        if refusal is not None:
            event, reason = refusal
            note(name=event, reason=reason)
            return False
        inputs = assigned(
            analysis.inputs,
            [one for one in complete if not is_own(session, one, analysis)],
            lambda one: one.facts,
            needed=trigger,
        )
        missing = [role for role in analysis.inputs if role not in inputs]
        if missing:
            note(name="analysis.waiting", roles=missing)
            return False
        if all(part is Part.STORE for _, part in parts):
            note(name="analysis.shadowed")
        return self._enqueue(session, analysis, inputs, parts)

    def _refusal(self, analysis: type[Analysis], trigger: Candidate) -> tuple[str, str] | None:
        """Say why an analysis that is asked for must not run: an event, and its reason."""
        if analysis.name in self._registry.disabled:
            return "analysis.disabled", "it is switched off"
        reason = self._hooks.veto(trigger.facts, analysis.name)
        return ("analysis.vetoed", reason) if reason is not None else None

    def _parts(
        self, session: Session, analysis: str, trigger: Candidate
    ) -> list[tuple[Route, Part]]:
        """Find the routes that apply, and what each wants of the results."""
        study = session.get_one(StudyRow, trigger.row.study_id).study_instance_uid
        found = {
            "modality": trigger.facts.modality,
            "body_part": trigger.facts.body_part,
            "called_ae_title": trigger.row.called_ae_title,
            "calling_ae_title": trigger.row.calling_ae_title,
        }
        wanted = [
            (route, part(route, analysis, study))
            for route in self._config.routes
            if fulfilled(route.when, found)
        ]
        return [(route, one) for route, one in wanted if one is not None]

    def _enqueue(
        self,
        session: Session,
        analysis: type[Analysis],
        inputs: Mapping[str, Candidate],
        parts: Sequence[tuple[Route, Part]],
    ) -> bool:
        series = next(one for one in inputs.values() if not one.facts.references)
        settings = dict(self._config.plugins.get(analysis.name, {}))
        weights = weights_sha256(analysis)
        delivering = [route for route, one in parts if one is Part.DELIVER]
        stat = any(route.priority == "stat" for route, _ in parts)
        way = Way(tuple(self._recipients(delivering, series.row)), urgent=stat)
        if delivering:  # what is stored only stays with us, whatever a hook would like
            way = self._hooks.route(series.facts, analysis.name, way)
        job_id = self._jobs.enqueue(
            session,
            NewJob(
                key=key_of(session, analysis, settings, inputs, self._hooks.versions),
                study_id=series.row.study_id,
                analysis=analysis.name,
                analysis_version=analysis.version,
                weights_sha256=weights,
                settings=settings,
                send_to=way.send_to,
                priority=Priority.STAT if way.urgent else Priority.ROUTINE,
                inputs={role: (one.row.id, one.row.generation) for role, one in inputs.items()},
            ),
        )
        events.record(
            session,
            study_id=series.row.study_id,
            name="analysis.matched",
            at=self._clock.now(),
            series_id=series.row.id,
            analysis=analysis.name,
            job=job_id,
        )
        return job_id is not None

    def _recipients(self, routes: Sequence[Route], series: SeriesRow) -> list[str]:
        """Name the peers of all routes, each once; "sender" is the peer the series came from."""
        names: list[str] = []
        for name in (name for route in routes for name in route.send_to):
            found = name
            if name == "sender":
                sender = self._config.peer_by_ae_title(series.calling_ae_title)
                if sender is None:
                    log.warning(
                        "sender.unknown",
                        calling_ae_title=series.calling_ae_title,
                        remedy="add a [[peers]] table with this ae_title",
                    )
                    continue
                found = sender.name
            if found not in names:
                names.append(found)
        return names
