"""The schema: one class a table, every state a word.

study 1--n series 1--n instance n--1 association
study 1--n job 1--n job_input n--1 series
job 1--n result 1--n delivery
study 1--n event
training, beside them
"""

from medaet.store.states import (
    AssociationOutcome,
    DeliveryState,
    JobState,
    Priority,
    SeriesState,
    TrainingState,
)
from medaet.store.tables.base import (
    CURRENT,
    DELIVERIES_UNDER_WAY,
    JOBS_UNDER_WAY,
    OPEN,
    Base,
)
from medaet.store.tables.event import EventRow
from medaet.store.tables.received import AssociationRow, InstanceRow, SeriesRow, StudyRow
from medaet.store.tables.training import TRAININGS_UNDER_WAY, TrainingRow
from medaet.store.tables.work import DeliveryRow, JobInputRow, JobRow, ResultRow

__all__ = [
    "CURRENT",
    "DELIVERIES_UNDER_WAY",
    "JOBS_UNDER_WAY",
    "OPEN",
    "TRAININGS_UNDER_WAY",
    "AssociationOutcome",
    "AssociationRow",
    "Base",
    "DeliveryRow",
    "DeliveryState",
    "EventRow",
    "InstanceRow",
    "JobInputRow",
    "JobRow",
    "JobState",
    "Priority",
    "ResultRow",
    "SeriesRow",
    "SeriesState",
    "StudyRow",
    "TrainingRow",
    "TrainingState",
]
