"""What happened to a study."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from medaet.store.tables.base import Base


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
