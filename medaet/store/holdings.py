"""What the store holds, as training asks for it."""

from collections.abc import Sequence

from sqlalchemy import select

from medaet.store.engine import Database
from medaet.store.tables import InstanceRow, ResultRow, SeriesRow


def instance_paths(database: Database, modalities: Sequence[str]) -> list[str]:
    """List the current instances of every series of some modalities; paths relative to the spool, sorted."""
    query = (
        select(InstanceRow.path)
        .join(SeriesRow, SeriesRow.id == InstanceRow.series_id)
        .where(SeriesRow.modality.in_(modalities), InstanceRow.replaced_at.is_(None))
        .order_by(InstanceRow.path)
    )
    with database.read() as session:
        return list(session.scalars(query))


def result_uids(database: Database) -> frozenset[str]:
    """Return the SOP Instance UIDs of the results made here."""
    with database.read() as session:
        return frozenset(session.scalars(select(ResultRow.sop_instance_uid)))
