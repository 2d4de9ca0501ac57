"""A job as it is asked for: which routes want it, what it works on, who gets its results."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from medaet.config.model import Config, Route, When
from medaet.plugin.analysis import Analysis, weights_sha256
from medaet.queue.rows import NewJob
from medaet.store.tables import InstanceRow, Priority, SeriesRow

log = structlog.get_logger()


def routes_for(config: Config, analysis: str, series: Sequence[SeriesRow]) -> list[Route]:
    """List the routes that want an analysis of some series: those that one of the series fulfils."""
    return [
        route
        for route in config.routes
        if analysis in route.analyses and any(_fulfilled(route.when, one) for one in series)
    ]


def request(
    session: Session,
    config: Config,
    analysis: type[Analysis],
    inputs: Mapping[str, SeriesRow],
    routes: Sequence[Route],
) -> NewJob:
    """Put together a job.

    Args:
        session: Of the transaction that decided on it.
        config: The whole configuration.
        analysis: What is to be done.
        inputs: On which series, by role; the job belongs to the study of the first one of images.
        routes: Those that want it.
    """
    series = next(one for role, one in inputs.items() if analysis.inputs[role].refers_to is None)
    settings = dict(config.plugins.get(analysis.name, {}))
    weights = weights_sha256(analysis)
    stat = any(route.priority == "stat" for route in routes)
    return NewJob(
        key=_key(session, analysis, weights, settings, inputs),
        study_id=series.study_id,
        analysis=analysis.name,
        analysis_version=analysis.version,
        weights_sha256=weights,
        settings=settings,
        send_to=_recipients(config, routes, series),
        priority=Priority.STAT if stat else Priority.ROUTINE,
        inputs={role: (one.id, one.generation) for role, one in inputs.items()},
    )


def _fulfilled(when: When, series: SeriesRow) -> bool:
    found = {
        "modality": series.modality,
        "body_part": series.attributes.get("BodyPartExamined", ""),
        "called_ae_title": series.called_ae_title,
        "calling_ae_title": series.calling_ae_title,
    }
    wanted = when.model_dump()
    return all(
        not values or found[key].upper() in {value.upper() for value in values}
        for key, values in wanted.items()
    )


def _recipients(config: Config, routes: Sequence[Route], series: SeriesRow) -> list[str]:
    """Name the peers of all routes, each once; "sender" is the peer the series came from."""
    names: list[str] = []
    for name in (name for route in routes for name in route.send_to):
        found = name
        if name == "sender":
            sender = config.peer_by_ae_title(series.calling_ae_title)
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


def _key(
    session: Session,
    analysis: type[Analysis],
    weights: str,
    settings: Mapping[str, object],
    inputs: Mapping[str, SeriesRow],
) -> str:
    """Summarise the work: the same analysis, weights, settings and input bytes give the same key."""
    digests = {
        role: [
            list(pair)
            for pair in session.execute(
                select(InstanceRow.sop_instance_uid, InstanceRow.sha256)
                .where(InstanceRow.series_id == one.id, InstanceRow.replaced_at.is_(None))
                .order_by(InstanceRow.sop_instance_uid)
            )
        ]
        for role, one in inputs.items()
    }
    content = [analysis.name, analysis.version, weights, settings, digests]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
