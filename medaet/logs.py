"""Log events: one line each, for people on a terminal and as JSON otherwise, never with patient data.

An event is a constant `noun.past_participle` (docs/events.md lists them all); everything that varies is a key.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

PATIENT_KEYS = frozenset(
    {
        "accession_number",
        "dataset",
        "other_patient_ids",
        "patient",
        "patient_birth_date",
        "patient_id",
        "patient_name",
        "patient_sex",
        "referring_physician_name",
    }
)
"""Keys that are dropped from every event, whoever wrote them."""


def set_up(*, verbose: bool = False, stream: TextIO | None = None) -> None:
    """Send log events to `stream` (standard error by default).

    Args:
        verbose: Also write debug events.
        stream: Where lines go; coloured text on a terminal, JSON otherwise.
    """
    target = stream if stream is not None else sys.stderr
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if target.isatty()
        else structlog.processors.JSONRenderer(sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_patient_data,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if verbose else logging.INFO
        ),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    # pynetdicom logs data sets and pydicom quotes values: neither may reach the journal.
    for name in ("pynetdicom", "pydicom", "highdicom"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False


def drop_patient_data(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Remove what identifies a patient, whatever the caller passed (a structlog processor)."""
    for key in [k for k in event if k.lower() in PATIENT_KEYS or k.lower().startswith("patient")]:
        del event[key]
    return event


def frames(error: BaseException) -> dict[str, object]:
    """Describe an unexpected error by its class and where it arose; its message may quote a patient's data."""
    where = [
        f"{one.filename}:{one.lineno} {one.name}"
        for one in traceback.extract_tb(error.__traceback__)
    ]
    return {"error": type(error).__name__, "frames": where[-8:]}
