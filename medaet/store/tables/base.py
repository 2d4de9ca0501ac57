"""What every table has in common, and the conditions of partial indexes."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, MetaData, text
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass

from medaet.store.columns import UtcDateTime


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
OPEN = text("ended_at is null")
DELIVERIES_UNDER_WAY = text("state in ('ready', 'leased')")
"""Conditions of partial indexes, which hold the few rows that are not history.

Queries repeat the condition, because SQLite uses a partial index only for a query that has the very same term.
"""
