"""The table of training runs; beside the other tables, since it refers to none of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from medaet.store.columns import words
from medaet.store.states import TrainingState
from medaet.store.tables.base import Base

TRAININGS_UNDER_WAY = text("state in ('ready', 'leased')")


class TrainingRow(Base, kw_only=True):
    """One training run.

    Attributes:
        configuration: The whole training configuration, paths absolute.
        folder: Of the run; everything that it made is there.
        attempt: Number of the newest lease, and the fencing number: every write by a holder repeats it.
        last_attempt: The attempt after which an error buries the run.
        progress: Phase, steps, loss, Dice, time left: what a dashboard shows.
    """

    __tablename__ = "training"
    __table_args__ = (
        Index(
            "ix_training_waiting",
            "state",
            "due_at",
            sqlite_where=TRAININGS_UNDER_WAY,
            postgresql_where=TRAININGS_UNDER_WAY,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(64))
    configuration: Mapped[dict[str, Any]]
    folder: Mapped[str] = mapped_column(Text)
    state: Mapped[TrainingState] = mapped_column(words(TrainingState), default=TrainingState.READY)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempt: Mapped[int] = mapped_column(default=0)
    last_attempt: Mapped[int] = mapped_column(default=3)
    leased_by: Mapped[str | None] = mapped_column(String(128), default=None)
    lease_ends_at: Mapped[datetime | None] = mapped_column(default=None)
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    progress: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    last_error: Mapped[str | None] = mapped_column(Text, default=None)
    error_class: Mapped[str | None] = mapped_column(String(64), default=None)
