"""The schema: one class a table, every state a word.

study 1--n series 1--n instance
study 1--n job 1--n job_input n--1 series
job 1--n result 1--n delivery
study 1--n event
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship

from medaet.store.columns import UtcDateTime, words
from medaet.store.states import DeliveryState, JobState, Priority, SeriesState

__all__ = [
    "CURRENT",
    "DELIVERIES_UNDER_WAY",
    "JOBS_UNDER_WAY",
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
]


class Base(MappedAsDataclass, DeclarativeBase):
    """Rows are dataclasses with keyword arguments."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


JOBS_UNDER_WAY = text("state in ('ready', 'leased', 'analysed', 'encoding')")
CURRENT = text("replaced_at is null")
DELIVERIES_UNDER_WAY = text("state in ('ready', 'leased')")
"""Conditions of partial indexes, which hold the few rows that are not history.

Queries repeat the condition, because SQLite uses a partial index only for a query that has the very same term.
"""


class StudyRow(Base, kw_only=True):
    """A study (PS3.3 §7): no patient attribute is kept here."""

    __tablename__ = "study"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    study_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    first_received_at: Mapped[datetime]
    last_received_at: Mapped[datetime]


class SeriesRow(Base, kw_only=True):
    """A series of a study.

    Attributes:
        generation: 1 for the first time the series closes; one more each time a late instance re-opens it.
        close_reason: Why it counts as complete.
        attributes: What selectors ask for, by PS3.6 keyword.
        called_ae_title, calling_ae_title: Those of the newest instance.
    """

    __tablename__ = "series"
    __table_args__ = (
        UniqueConstraint("study_id", "series_instance_uid"),
        Index("ix_series_state_last_received_at", "state", "last_received_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    modality: Mapped[str] = mapped_column(String(16))
    attributes: Mapped[dict[str, Any]]
    state: Mapped[SeriesState] = mapped_column(words(SeriesState), default=SeriesState.OPEN)
    generation: Mapped[int] = mapped_column(default=1)
    close_reason: Mapped[str | None] = mapped_column(Text, default=None)
    calling_ae_title: Mapped[str] = mapped_column(String(16), default="")
    called_ae_title: Mapped[str] = mapped_column(String(16), default="")
    opened_at: Mapped[datetime]
    last_received_at: Mapped[datetime]
    closed_at: Mapped[datetime | None] = mapped_column(default=None)
    study: Mapped[StudyRow] = relationship(init=False, repr=False, lazy="raise")


class InstanceRow(Base, kw_only=True):
    """A stored SOP instance; the same UID with other bytes is another row, and the older one is `replaced`.

    Attributes:
        path: Relative to the spool.
        sha256: Of the whole file, in hexadecimal; None until its series closes, or the UID comes again.
        generation: The series generation it came with.
        replaced_at: When it gave way to other bytes under the same SOP Instance UID; None for the current ones.
        attributes: Of the image, by PS3.6 keyword: geometry, size and pixel representation.
        pixel_offset: First byte of the pixel data's value in the file; None without any, or when it is deflated.
        pixel_length: Its length in bytes; None without any, or when it is encapsulated.
    """

    __tablename__ = "instance"
    __table_args__ = (
        UniqueConstraint("series_id", "sop_instance_uid", "sha256"),
        Index(
            "ix_instance_current",
            "series_id",
            "sop_instance_uid",
            unique=True,
            sqlite_where=CURRENT,
            postgresql_where=CURRENT,
        ),
        Index("ix_instance_sop_instance_uid", "sop_instance_uid"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    sop_class_uid: Mapped[str] = mapped_column(String(64))
    transfer_syntax_uid: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str | None] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    attributes: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    pixel_offset: Mapped[int | None] = mapped_column(BigInteger, default=None)
    pixel_length: Mapped[int | None] = mapped_column(BigInteger, default=None)
    generation: Mapped[int]
    received_at: Mapped[datetime]
    replaced_at: Mapped[datetime | None] = mapped_column(default=None)


class JobRow(Base, kw_only=True):
    """One analysis to be run on one set of series generations.

    Attributes:
        key: SHA-256 over analysis, version, weights, settings and inputs; the same work is never queued twice.
        attempt: Number of the newest lease, and the fencing number: every write by a holder repeats it.
        last_attempt: The attempt after which a transient error buries the job.
        findings_path: Folder of the kept findings, relative to the spool.
        send_to: Names of the peers that get the results.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index(
            "ix_job_waiting",
            "state",
            "due_at",
            sqlite_where=JOBS_UNDER_WAY,
            postgresql_where=JOBS_UNDER_WAY,
        ),
        Index("ix_job_study_id", "study_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    analysis: Mapped[str] = mapped_column(String(64))
    analysis_version: Mapped[str] = mapped_column(String(64))
    weights_sha256: Mapped[str] = mapped_column(String(64))
    settings: Mapped[dict[str, Any]]
    send_to: Mapped[list[str]]
    priority: Mapped[Priority] = mapped_column(words(Priority), default=Priority.ROUTINE)
    state: Mapped[JobState] = mapped_column(words(JobState), default=JobState.READY)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempt: Mapped[int] = mapped_column(default=0)
    last_attempt: Mapped[int] = mapped_column(default=3)
    leased_by: Mapped[str | None] = mapped_column(String(128), default=None)
    lease_ends_at: Mapped[datetime | None] = mapped_column(default=None)
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    device: Mapped[str | None] = mapped_column(String(64), default=None)
    findings_path: Mapped[str | None] = mapped_column(String(255), default=None)
    last_error: Mapped[str | None] = mapped_column(Text, default=None)
    error_class: Mapped[str | None] = mapped_column(String(64), default=None)


class JobInputRow(Base, kw_only=True):
    """A series generation that takes a role in a job."""

    __tablename__ = "job_input"
    __table_args__ = (Index("ix_job_input_series_id", "series_id"),)

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(64), primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    generation: Mapped[int]


class ResultRow(Base, kw_only=True):
    """An encoded and proven SOP instance.

    Attributes:
        kind: "SEG" or "SR".
        path: Relative to the spool.
        proof: The figures of the proof, or of the checks that stand for it.
    """

    __tablename__ = "result"
    __table_args__ = (Index("ix_result_job_id", "job_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    sop_class_uid: Mapped[str] = mapped_column(String(64))
    sop_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    proof: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class DeliveryRow(Base, kw_only=True):
    """A result's way to one peer.

    Attributes:
        status: DIMSE status of the newest C-STORE response (PS3.7 Annex C); None before the first.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("result_id", "peer"),
        Index(
            "ix_delivery_waiting",
            "state",
            "due_at",
            sqlite_where=DELIVERIES_UNDER_WAY,
            postgresql_where=DELIVERIES_UNDER_WAY,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    result_id: Mapped[int] = mapped_column(ForeignKey("result.id", ondelete="CASCADE"))
    peer: Mapped[str] = mapped_column(String(64))
    state: Mapped[DeliveryState] = mapped_column(words(DeliveryState), default=DeliveryState.READY)
    due_at: Mapped[datetime]
    attempt: Mapped[int] = mapped_column(default=0)
    leased_by: Mapped[str | None] = mapped_column(String(128), default=None)
    lease_ends_at: Mapped[datetime | None] = mapped_column(default=None)
    sent_at: Mapped[datetime | None] = mapped_column(default=None)
    status: Mapped[int | None] = mapped_column(default=None)
    last_error: Mapped[str | None] = mapped_column(Text, default=None)


class EventRow(Base, kw_only=True):
    """One thing that happened to a study; `medaet explain` reads them in order."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_study_id", "study_id"),
        Index("ix_event_series_id", "series_id"),  # so that forgetting a study is quick
        Index("ix_event_job_id", "job_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    at: Mapped[datetime]
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, Any]]
    series_id: Mapped[int | None] = mapped_column(
        ForeignKey("series.id", ondelete="CASCADE"), default=None
    )
    job_id: Mapped[int | None] = mapped_column(
        ForeignKey("job.id", ondelete="CASCADE"), default=None
    )
