"""The delivery queue: one row for each result and peer, each with a retry clock of its own."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from medaet.clock import Clock
from medaet.errors import LeaseLostError, MedaetError, PermanentError, TransientError
from medaet.queue.backoff import backoff
from medaet.queue.rows import Delivery, read_deliveries
from medaet.store import events
from medaet.store.engine import Database
from medaet.store.tables import DELIVERIES_UNDER_WAY, DeliveryRow, DeliveryState

__all__ = ["Delivery", "DeliveryQueue"]

log = structlog.get_logger()


class DeliveryQueue:
    """Results on their way to peers; one method is one transaction.

    Args:
        database: Where the tables are.
        clock: Tells what is due and which leases have ended.
        jitter: Returns a random number from 0 up to 1, which spreads the waits.
    """

    def __init__(
        self, database: Database, clock: Clock, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self._database = database
        self._clock = clock
        self._jitter = jitter

    def lease_batch(self, worker: str, length: timedelta, limit: int = 100) -> list[Delivery]:
        """Take deliveries that are due, all for the peer whose turn is next.

        Args:
            worker: Name of the leasing process, for people who read the table.
            length: How long the worker may be silent before others may take them.
            limit: At most so many, for one association.
        """
        now = self._clock.now()
        if not self._finds(_due(now)):
            return []
        with self._database.write() as session:
            first = session.scalars(_locking(_due(now).limit(1))).one_or_none()
            if first is None:
                return []
            batch = _due(now).where(DeliveryRow.peer == first.peer).limit(limit)
            rows = session.scalars(_locking(batch)).all()
            for row in rows:
                row.state = DeliveryState.LEASED
                row.attempt += 1
                row.leased_by, row.lease_ends_at = worker, now + length
            session.flush()
            return read_deliveries(session, [row.id for row in rows])

    def renew(self, delivery: Delivery, length: timedelta) -> None:
        """Push the end of a lease out to `length` from now.

        Raises:
            LeaseLostError: another worker may hold the delivery.
        """
        with self._database.write() as session:
            _held(session, delivery).lease_ends_at = self._clock.now() + length

    def sent(self, delivery: Delivery, status: int) -> None:
        """Write down that the peer took the result.

        Args:
            delivery: The leased delivery.
            status: DIMSE status, success or warning (PS3.4 §B.2.3).

        Raises:
            LeaseLostError: another worker may hold the delivery, or a newer result took its place.
        """
        now = self._clock.now()
        with self._database.write() as session:
            row = _held(session, delivery)
            _release(row, DeliveryState.SENT)
            row.sent_at, row.status, row.last_error = now, status, None
            _tell(session, delivery, "result.delivered", now, status=f"{status:04X}")

    def fail(self, delivery: Delivery, error: MedaetError, status: int | None = None) -> None:
        """Let a delivery wait, however often it has failed, or bury it when trying cannot help.

        A peer may be down for days: that is no reason to give up, and each repeated reason is one
        event, not hundreds.

        Args:
            delivery: The leased delivery.
            error: Why the peer did not take the result.
            status: DIMSE status, if there was a response.

        Raises:
            LeaseLostError: another worker may hold the delivery, or a newer result took its place.
        """
        now = self._clock.now()
        reason = str(error)
        with self._database.write() as session:
            row = _held(session, delivery)
            repeated = row.last_error == reason
            row.last_error = reason
            row.status = row.status if status is None else status
            if isinstance(error, TransientError):
                _release(row, DeliveryState.READY)
                row.due_at = now + backoff(row.attempt, self._jitter())
                if not repeated:
                    _tell(session, delivery, "delivery.failed", now, reason=reason)
            else:
                _release(row, DeliveryState.DEAD)
                _tell(session, delivery, "delivery.buried", now, reason=reason)
                log.error(
                    "delivery.buried",
                    delivery_id=delivery.id,
                    job_id=delivery.job_id,
                    peer=delivery.peer,
                    error=type(error).__name__,
                    reason=reason,
                )

    def rescue(self) -> int:
        """Give back the deliveries whose lease has ended, and say how many those were."""
        now = self._clock.now()
        ended = (
            select(DeliveryRow)
            .where(
                DELIVERIES_UNDER_WAY,
                DeliveryRow.state == DeliveryState.LEASED,
                DeliveryRow.lease_ends_at < now,
            )
            .order_by(DeliveryRow.id)
        )
        if not self._finds(ended):
            return 0
        with self._database.write() as session:
            rows = session.scalars(_locking(ended)).all()
            for row in rows:
                _release(row, DeliveryState.READY)
                row.due_at = now
            return len(rows)

    def retry(self, delivery_id: int) -> None:
        """Send a dead delivery back to ready, or a waiting one at once.

        Raises:
            PermanentError: there is no such delivery, or it does not wait for anything.
        """
        query = (
            select(DeliveryRow).where(DeliveryRow.id == delivery_id).with_for_update(key_share=True)
        )
        with self._database.write() as session:
            row = session.scalars(query).one_or_none()
            if row is None:
                raise PermanentError(
                    f"there is no delivery {delivery_id}; "
                    "`medaet deliveries list` shows those there are"
                )
            if row.state not in (DeliveryState.DEAD, DeliveryState.READY):
                raise PermanentError(
                    f"delivery {delivery_id} is {row.state}; nothing is to be retried"
                )
            row.state = DeliveryState.READY
            row.due_at = self._clock.now()

    def list(
        self, state: DeliveryState | None = None, *, before: int | None = None, limit: int = 100
    ) -> list[Delivery]:
        """List deliveries, the newest first.

        Args:
            state: Only those in this state; None for all.
            before: Only those with a lower number: the way to the next page.
            limit: At most so many.
        """
        query = select(DeliveryRow.id).order_by(DeliveryRow.id.desc()).limit(limit)
        if state is not None:
            query = query.where(DeliveryRow.state == state)
        if before is not None:
            query = query.where(DeliveryRow.id < before)
        with self._database.read() as session:
            return read_deliveries(session, session.scalars(query).all())

    def _finds(self, query: Select[DeliveryRow]) -> bool:
        """Whether there is something to do; idle senders must not queue for SQLite's one writer."""
        with self._database.read() as session:
            return session.scalars(query.limit(1)).first() is not None


def _due(now: datetime) -> Select[DeliveryRow]:
    return (
        select(DeliveryRow)
        .where(
            DELIVERIES_UNDER_WAY,
            DeliveryRow.state == DeliveryState.READY,
            DeliveryRow.due_at <= now,
        )
        .order_by(DeliveryRow.due_at, DeliveryRow.id)
    )


def _locking(query: Select[DeliveryRow]) -> Select[DeliveryRow]:
    return query.with_for_update(key_share=True, skip_locked=True)  # SQLite: compiles to nothing


def _held(session: Session, delivery: Delivery) -> DeliveryRow:
    """Read and lock the row of a delivery that its holder still holds."""
    row = session.scalars(
        select(DeliveryRow)
        .where(
            DeliveryRow.id == delivery.id,
            DeliveryRow.attempt == delivery.attempt,
            DeliveryRow.state == DeliveryState.LEASED,
        )
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        raise LeaseLostError(
            f"attempt {delivery.attempt} of delivery {delivery.id} no longer holds it"
        )
    return row


def _release(row: DeliveryRow, state: DeliveryState) -> None:
    row.state = state
    row.leased_by = row.lease_ends_at = None


def _tell(
    session: Session, delivery: Delivery, name: str, now: datetime, **details: object
) -> None:
    """Write what happened to a delivery into its study's events."""
    session.flush()
    events.record(
        session,
        study_id=delivery.study_id,
        series_id=None,
        job_id=delivery.job_id,
        name=name,
        at=now,
        peer=delivery.peer,
        kind=delivery.kind,
        **details,
    )
