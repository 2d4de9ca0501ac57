"""Events as sentences: what happened to a study, in words that a person can act on."""

from collections.abc import Mapping, Sequence

from medaet.store.events import Event

SENTENCES: Mapping[str, str] = {
    "series.opened": "the first {modality} instance arrived from {calling_ae_title}",
    "series.reopened": "another instance arrived after the series was complete: generation {generation}",
    "series.waiting": "waits until {until}: {reason}",
    "series.closed": "closed: {reason}",
    "instance.conflict": "other bytes arrived for instance {sop_instance_uid}; both are kept, {used} count",
    "analysis.matched": "{analysis} fits: job {job}",
    "analysis.unmatched": "{analysis} does not fit role {role}: {failed}",
    "analysis.unrouted": "{analysis} fits, but no route of medaet.toml asks for it",
    "analysis.disabled": "{analysis} fits, but is switched off; `medaet plugins enable` switches it on",
    "analysis.shadowed": "{analysis} is on trial here: its results are stored, and delivered to nobody",
    "analysis.vetoed": "{analysis} fits, but must not look at it: {reason}",
    "analysis.waiting": "{analysis} waits for a series in role {roles}, {limit}",
    "analysis.reduced": "{analysis} runs without role {roles}: no series came in time",
    "analysis.abandoned": "{analysis} is given up: no series came in time for role {roles}",
    "partner.refused": "{analysis} did not take series {partner} for role {role}: {reason}",
    "job.leased": "attempt {attempt} by {worker} began ({state})",
    "job.analysed": "{analysis} found what it looks for on {device}, attempt {attempt}",
    "job.done": "results written and proven: {results}",
    "job.failed": "attempt {attempt} failed: {reason} ({error}); the next one in {wait_seconds} s",
    "job.returned": "the worker stopped before attempt {attempt} began; the job is ready again",
    "job.rescued": "{reason}; the job is ready again",
    "job.buried": "given up after attempt {attempt}: {reason} ({error}); `medaet jobs retry` tries again",
    "job.requeued": "a person or a repeated series made it ready again after attempt {attempt}",
    "job.superseded": "replaced by job {by}, which looks at generation {generation}",
    "job.outgrown": "replaced by job {by}, which looks at more series",
    "result.replaced": "{peer} takes no {wanted}: it gets {instead} in place of the {kind}",
    "result.delivered": "{peer} took the {kind} (status {status})",
    "delivery.failed": "{peer} did not take the {kind}: {reason}; it will be tried again",
    "delivery.buried": "{peer} will not take the {kind}: {reason}; `medaet deliveries retry` tries again",
}
"""Event names and their sentences; the keys are those of docs/events.md."""

QUEUED_ALREADY = "queued or done already under another one"


def sentence(event: Event) -> str:
    """Say what happened, beginning with what it happened to."""
    words = SENTENCES.get(event.name)
    values = {key: _words(key, value) for key, value in event.details.items()}
    try:
        said = words.format_map(values) if words else _listed(event.name, values)
    except KeyError:  # an event written by an older version
        said = _listed(event.name, values)
    return f"{_subject(event)}: {said}"


def _subject(event: Event) -> str:
    if event.job_id is not None:
        analysis = event.details.get("analysis")
        return f"job {event.job_id} ({analysis})" if analysis else f"job {event.job_id}"
    return f"series {event.series_instance_uid}" if event.series_instance_uid else "study"


def _words(key: str, value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(str(one) for one in value) or "nothing"
    if isinstance(value, float):
        return f"{value:.0f}"
    if key == "job" and value is None:
        return QUEUED_ALREADY
    return str(value)


def _listed(name: str, values: Mapping[str, str]) -> str:
    return " ".join([name, *(f"{key}={value}" for key, value in values.items())])
