"""A series that may take a role in an analysis, and what names the work on several of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from medaet.dicom.header import facts
from medaet.dicom.identity import SeriesFacts
from medaet.plugin.analysis import Analysis, weights_sha256
from medaet.store.tables import InstanceRow, JobRow, ResultRow, SeriesRow

RESULTS = frozenset({"SEG", "SR"})
"""Modalities of what MedAET sends out."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A series that may take a role: its row and what selectors ask of it."""

    row: SeriesRow
    facts: SeriesFacts


def facts_of(session: Session, row: SeriesRow) -> SeriesFacts:
    """Read what selectors ask for from the tables."""
    counted = session.execute(
        select(InstanceRow.sop_class_uid, func.count())
        .where(InstanceRow.series_id == row.id, InstanceRow.replaced_at.is_(None))
        .group_by(InstanceRow.sop_class_uid)
        .order_by(InstanceRow.sop_class_uid)
    ).all()
    return facts(
        row.series_instance_uid,
        row.modality,
        row.attributes,
        sop_class_uids=tuple(uid for uid, _ in counted),
        instances=sum(count for _, count in counted),
    )


def is_own(session: Session, series: Candidate, analysis: type[Analysis]) -> bool:
    """Tell whether a series is a result of the analysis, come back from a peer: it must not start it again."""
    if series.row.modality not in RESULTS:
        return False
    made = (
        select(ResultRow.id)
        .join(JobRow, JobRow.id == ResultRow.job_id)
        .join(InstanceRow, InstanceRow.sop_instance_uid == ResultRow.sop_instance_uid)
        .where(InstanceRow.series_id == series.row.id, JobRow.analysis == analysis.name)
        .limit(1)
    )
    return session.scalar(made) is not None


def key_of(
    session: Session,
    analysis: type[Analysis],
    settings: Mapping[str, object],
    inputs: Mapping[str, Candidate],
    hooks: Mapping[str, str],
) -> str:
    """Summarise the work: the same analysis, weights, settings, hooks and input bytes give the same key."""
    digests = {
        role: [
            list(pair)
            for pair in session.execute(
                select(InstanceRow.sop_instance_uid, InstanceRow.sha256)
                .where(InstanceRow.series_id == one.row.id, InstanceRow.replaced_at.is_(None))
                .order_by(InstanceRow.sop_instance_uid)
            )
        ]
        for role, one in inputs.items()
    }
    weights = weights_sha256(analysis)
    content: list[object] = [analysis.name, analysis.version, weights, settings, digests]
    content += [dict(hooks)] if hooks else []
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
