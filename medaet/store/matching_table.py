"""The tables behind pairs of series: where each series comes from, and which analyses wait for a partner."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medaet.store.tables import Base


class OriginRow(Base, kw_only=True):
    """Where a series comes from; of its patient only keyed hashes are kept, "" for what it does not say.

    Attributes:
        generation: The series generation this was read from.
        acquired_at: ISO 8601 without time zone, as the scanner's clock said; "" when it does not say.
    """

    __tablename__ = "origin"
    __table_args__ = (Index("ix_origin_patient_id_hash", "patient_id_hash"),)

    series_id: Mapped[int] = mapped_column(
        ForeignKey("series.id", ondelete="CASCADE"), primary_key=True
    )
    generation: Mapped[int]
    patient_id_hash: Mapped[str] = mapped_column(String(64))
    issuer_hash: Mapped[str] = mapped_column(String(64))
    name_hash: Mapped[str] = mapped_column(String(64))
    birth_date_hash: Mapped[str] = mapped_column(String(64))
    sex_hash: Mapped[str] = mapped_column(String(64))
    acquired_at: Mapped[str] = mapped_column(String(32))


class WaitingRow(Base, kw_only=True):
    """An analysis that waits for a series in some of its roles.

    Attributes:
        series_id: The series that fits already, and waits.
        until: When it is run without the others, or given up.
    """

    __tablename__ = "waiting"
    __table_args__ = (
        UniqueConstraint("analysis", "series_id"),
        Index("ix_waiting_series_id", "series_id"),
        Index("ix_waiting_until", "until"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    analysis: Mapped[str] = mapped_column(String(64))
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    generation: Mapped[int]
    until: Mapped[datetime]
