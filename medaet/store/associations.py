"""Associations that brought instances: who sent, from where, how much, and how it ended."""

import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from medaet.clock import Clock
from medaet.store.engine import Database
from medaet.store.tables import AssociationOutcome, AssociationRow, InstanceRow
from medaet.store.upsert import insert_unless_present

BITS = 62


@dataclass(frozen=True, slots=True)
class Sender:
    """Whoever sends in one association, as far as the tables keep it.

    Attributes:
        called_ae_title: The one of ours that was asked for.
        association_id: A number of our own.
    """

    calling_ae_title: str
    called_ae_title: str
    address: str = ""
    association_id: int = field(default_factory=lambda: secrets.randbits(BITS))

    @property
    def titles(self) -> Mapping[str, str]:
        """Both AE titles, by column."""
        return {
            "calling_ae_title": self.calling_ae_title,
            "called_ae_title": self.called_ae_title,
        }


@dataclass(frozen=True, slots=True)
class Ending:
    """How an association ended, and what it brought."""

    outcome: AssociationOutcome
    stored: int
    refused: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Share:
    """What one association brought of a series.

    Attributes:
        outcome: None while it is open, or when nothing is known of it.
        is_known: Whether anything is known of it.
        last_at: When its last instance of the series came.
        ended_at: None while it is open, or when nothing is known of it.
    """

    instances: int
    outcome: AssociationOutcome | None
    is_known: bool
    last_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """What came from one AE title and address.

    Attributes:
        seconds: That its associations were open altogether.
    """

    calling_ae_title: str
    address: str
    associations: int
    unfinished: int
    stored: int
    refused: int
    size_bytes: int
    seconds: float


class AssociationStore:
    """Reads and clears association rows; the receiver writes them with its instances."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of_series(self, series_id: int) -> list[Share]:
        """List what associations brought of a series, in the order in which they last did."""
        last_at = func.max(InstanceRow.received_at).label("last_at")
        query = (
            select(
                func.count().label("instances"),
                AssociationRow.outcome,
                AssociationRow.id.is_not(None).label("is_known"),
                last_at,
                AssociationRow.ended_at,
            )
            .outerjoin(AssociationRow, AssociationRow.id == InstanceRow.association_id)
            .where(InstanceRow.series_id == series_id)
            .group_by(InstanceRow.association_id, AssociationRow.id)
            .order_by(last_at)
        )
        with self._database.read() as session:
            return [
                Share(row.instances, row.outcome, bool(row.is_known), row.last_at, row.ended_at)
                for row in session.execute(query)
            ]

    def lose(self, receiver: str) -> int:
        """Mark the open associations of a process that has died; return how many there were."""
        move = (
            update(AssociationRow)
            .where(AssociationRow.receiver == receiver, AssociationRow.ended_at.is_(None))
            .values(ended_at=self._clock.now(), outcome=AssociationOutcome.LOST)
            .returning(AssociationRow.id)
        )
        with self._database.write() as session:
            return len(session.scalars(move).all())

    def forget(self, before: datetime) -> None:
        """Delete what ended before a moment."""
        with self._database.write() as session:
            session.execute(delete(AssociationRow).where(AssociationRow.ended_at < before))

    def traffic(self, length: timedelta) -> list[Traffic]:
        """Add up what came from whom in associations that began within this time, the most first."""
        start = self._clock.now() - length
        query = (
            select(AssociationRow)
            .where(AssociationRow.started_at >= start)
            .order_by(AssociationRow.calling_ae_title, AssociationRow.address)
        )
        with self._database.read() as session:
            rows = list(session.scalars(query))
        found: dict[tuple[str, str], list[AssociationRow]] = {}
        for row in rows:
            found.setdefault((row.calling_ae_title, row.address), []).append(row)
        added = [self._added(calling, address, of) for (calling, address), of in found.items()]
        return sorted(added, key=lambda one: one.size_bytes, reverse=True)

    def _added(self, calling: str, address: str, rows: Sequence[AssociationRow]) -> Traffic:
        now = self._clock.now()
        return Traffic(
            calling_ae_title=calling,
            address=address,
            associations=len(rows),
            unfinished=sum(row.outcome is not AssociationOutcome.RELEASED for row in rows),
            stored=sum(row.stored for row in rows),
            refused=sum(row.refused for row in rows),
            size_bytes=sum(row.size_bytes for row in rows),
            seconds=sum(((row.ended_at or now) - row.started_at).total_seconds() for row in rows),
        )


def begin(session: Session, sender: Sender, receiver: str, now: datetime) -> None:
    """Write an association's row with the first instance that it brings."""
    if receiver:
        insert_unless_present(session, AssociationRow, begun(sender, receiver, now))


def begun(sender: Sender, receiver: str, now: datetime) -> dict[str, object]:
    """Return the columns of an association that brings its first instance."""
    return {
        "id": sender.association_id,
        "receiver": receiver,
        **sender.titles,
        "address": sender.address,
        "started_at": now,
        "stored": 0,
        "refused": 0,
        "size_bytes": 0,
    }


def receiver_name(number: int) -> str:
    """Name a receiving process of this host."""
    return f"{socket.gethostname()[:50]}/{number}"
