"""What is done about it: jobs, their inputs and results, and each result's way to each peer."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medaet.store.columns import words
from medaet.store.states import DeliveryState, JobState, Priority
from medaet.store.tables.base import DELIVERIES_UNDER_WAY, JOBS_UNDER_WAY, Base


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
