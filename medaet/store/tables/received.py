"""What was received: studies, series, instances, and the associations that brought them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from medaet.store.columns import words
from medaet.store.states import AssociationOutcome, SeriesState
from medaet.store.tables.base import CURRENT, OPEN, Base


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
        association_id: That brought it last; the row of that association goes earlier than this one.
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
    association_id: Mapped[int | None] = mapped_column(BigInteger, default=None)
    generation: Mapped[int]
    received_at: Mapped[datetime]
    replaced_at: Mapped[datetime | None] = mapped_column(default=None)


class AssociationRow(Base, kw_only=True):
    """An association that brought instances.

    Attributes:
        id: Made by the receiver, so that instances can name it before it is written.
        receiver: The process that serves it, "host/number": when that one dies, so do its associations.
        address: From where it came.
        outcome: How it ended; None while it is open.
        stored, refused, size_bytes: What it brought; known when it has ended.
    """

    __tablename__ = "association"
    __table_args__ = (
        Index("ix_association_open", "receiver", sqlite_where=OPEN, postgresql_where=OPEN),
        Index("ix_association_started_at", "started_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    receiver: Mapped[str] = mapped_column(String(64))
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    called_ae_title: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    outcome: Mapped[AssociationOutcome | None] = mapped_column(
        words(AssociationOutcome), default=None
    )
    stored: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
