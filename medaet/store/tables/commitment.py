"""Storage commitments: what peers asked us to answer for, and whether they were told (PS3.4 Annex J)."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medaet.store.tables.base import UNTOLD, Base


class CommitmentRow(Base, kw_only=True):
    """One request, with its answer.

    Attributes:
        called_ae_title: The one of ours that was asked; it reports, too.
        answer: Pairs of SOP Class and Instance UID that we answer for, and triples with the Failure Reason of others.
        due_at: When to report next; None when the peer knows, or nobody can tell it.
        reported_at: When the peer took the report.
        last_error: Why it could not be reported.
    """

    __tablename__ = "commitment"
    __table_args__ = (
        UniqueConstraint("calling_ae_title", "transaction_uid"),
        Index("ix_commitment_due_at", "due_at", sqlite_where=UNTOLD, postgresql_where=UNTOLD),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    called_ae_title: Mapped[str] = mapped_column(String(16))
    transaction_uid: Mapped[str] = mapped_column(String(64))
    answer: Mapped[dict[str, Any]]
    attempt: Mapped[int] = mapped_column(default=0)
    requested_at: Mapped[datetime]
    due_at: Mapped[datetime | None] = mapped_column(default=None)
    reported_at: Mapped[datetime | None] = mapped_column(default=None)
    last_error: Mapped[str | None] = mapped_column(default=None)
