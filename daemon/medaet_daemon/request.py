"""A job as it is asked for: which routes want it, what it works on, who gets its results."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from medaet.config.model import Config
from medaet.config.route import Route
from medaet.plugin.analysis import Analysis, weights_sha256
from medaet.queue.rows import NewJob
from medaet.routes import Part, fulfilled, part
from medaet.store.tables import InstanceRow, Priority, SeriesRow, StudyRow

log = structlog.get_logger()


Wanted = tuple[Route, Part]
"""A route that asks for an analysis, and what it wants of the results."""


def wanted_by(
    session: Session, config: Config, analysis: str, series: Sequence[SeriesRow]
) -> list[Wanted]:
    """List the routes that want an analysis of some series: those that one of the series fulfils."""
    if not series:
        return []
    study = session.get_one(StudyRow, series[0].study_id).study_instance_uid
    wanted = [
        (route, part(route, analysis, study))
        for route in config.routes
        if any(fulfilled(route.when, _told(one)) for one in series)
    ]
    return [(route, one) for route, one in wanted if one is not None]


def first_of(analysis: type[Analysis], inputs: Mapping[str, SeriesRow]) -> SeriesRow:
    """Return the first series of images, to whose study a job belongs."""
    return next(one for role, one in inputs.items() if analysis.inputs[role].refers_to is None)


def request(
    session: Session,
    config: Config,
    analysis: type[Analysis],
    inputs: Mapping[str, SeriesRow],
    wanted: Sequence[Wanted],
    hooks: Mapping[str, str],
) -> NewJob:
    """Put together a job.

    Args:
        session: Of the transaction that decided on it.
        config: The whole configuration.
        analysis: What is to be done.
        inputs: On which series, by role; the job belongs to the study of the first one of images.
        wanted: The routes that ask for it.
        hooks: Versions of the plugins whose hooks are in force, by name.
    """
    series = first_of(analysis, inputs)
    settings = dict(config.plugins.get(analysis.name, {}))
    weights = weights_sha256(analysis)
    stat = any(route.priority == "stat" for route, _ in wanted)
    return NewJob(
        key=_key(session, analysis, settings, inputs, hooks),
        study_id=series.study_id,
        analysis=analysis.name,
        analysis_version=analysis.version,
        weights_sha256=weights,
        settings=settings,
        send_to=_recipients(
            config, [route for route, one in wanted if one is Part.DELIVER], series
        ),
        priority=Priority.STAT if stat else Priority.ROUTINE,
        inputs={role: (one.id, one.generation) for role, one in inputs.items()},
    )


def _told(series: SeriesRow) -> dict[str, str]:
    """Say of a series what routes ask for."""
    return {
        "modality": series.modality,
        "body_part": str(series.attributes.get("BodyPartExamined", "")),
        "called_ae_title": series.called_ae_title,
        "calling_ae_title": series.calling_ae_title,
    }


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
    settings: Mapping[str, object],
    inputs: Mapping[str, SeriesRow],
    hooks: Mapping[str, str],
) -> str:
    """Summarise the work: the same analysis, weights, settings, hooks and input bytes give the same key."""
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
    weights = weights_sha256(analysis)
    content: list[object] = [analysis.name, analysis.version, weights, settings, digests]
    content += [dict(hooks)] if hooks else []
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
