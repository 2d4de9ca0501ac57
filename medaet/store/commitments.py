"""Storage commitments: what is answered for, and the reports that are still owed (PS3.4 Annex J)."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from medaet.clock import Clock
from medaet.errors import MedaetError, TransientError
from medaet.store.associations import Sender
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.tables import CommitmentRow, InstanceRow

PROCESSING_FAILURE, NO_SUCH_INSTANCE, CONFLICT = 0x0110, 0x0112, 0x0119
"""Failure Reason (0008,1197), PS3.3 §C.14.1.1."""

UIDS_A_QUERY = 500
CLAIM = timedelta(minutes=2)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
MOST_ATTEMPTS = 200
"""A week and more of trying."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance that a peer asks us to answer for."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """The answer to one request.

    Attributes:
        committed: What we answer for.
        failed: What we do not answer for, with the Failure Reason.
        attempt: How often the report was tried.
    """

    id: int
    calling_ae_title: str
    called_ae_title: str
    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]
    attempt: int = 0


class CommitmentStore:
    """Answers requests, and remembers the reports that are due; one method is one transaction.

    Args:
        database: Where the rows are; it must be durable.
        spool: Where the files are.
        clock: Tells what is due.
    """

    def __init__(self, database: Database, spool: Spool, clock: Clock) -> None:
        self._database = database
        self._spool = spool
        self._clock = clock

    def answer(
        self,
        sender: Sender,
        transaction_uid: str,
        references: Sequence[Reference],
        report_in: timedelta,
    ) -> Commitment:
        """Decide for each instance whether we answer for it, and write that down before anybody is told.

        What is answered for is marked: retention leaves it alone. The same transaction again is answered anew.

        Args:
            sender: Who asks.
            transaction_uid: Its name for the request.
            references: What it asks for.
            report_in: After which time the report is due.

        Raises:
            DatabaseUnavailableError: nothing was promised.
        """
        now = self._clock.now()
        with self._database.write() as session:
            known = _known(session, [one.sop_instance_uid for one in references])
            reasons = [(one, self._reason(one, known)) for one in references]
            committed = [one for one, reason in reasons if reason is None]
            failed = [(one, reason) for one, reason in reasons if reason is not None]
            _mark(session, [known[one.sop_instance_uid].id for one in committed], now)
            session.execute(
                delete(CommitmentRow).where(
                    CommitmentRow.calling_ae_title == sender.calling_ae_title,
                    CommitmentRow.transaction_uid == transaction_uid,
                )
            )
            row = CommitmentRow(
                calling_ae_title=sender.calling_ae_title,
                called_ae_title=sender.called_ae_title,
                transaction_uid=transaction_uid,
                answer={
                    "committed": [[one.sop_class_uid, one.sop_instance_uid] for one in committed],
                    "failed": [
                        [one.sop_class_uid, one.sop_instance_uid, reason] for one, reason in failed
                    ],
                },
                requested_at=now,
                due_at=now + report_in,
            )
            session.add(row)
            session.flush()
            return _commitment(row)

    def claim(self, limit: int = 20) -> list[Commitment]:
        """Take reports that are due, all for one peer; others leave them alone for a while."""
        now = self._clock.now()
        due = (
            select(CommitmentRow)
            .where(CommitmentRow.due_at.is_not(None), CommitmentRow.due_at <= now)
            .order_by(CommitmentRow.due_at, CommitmentRow.id)
        )
        with self._database.read() as session:
            first = session.scalars(due.limit(1)).one_or_none()
        if first is None:
            return []
        batch = due.where(
            CommitmentRow.calling_ae_title == first.calling_ae_title,
            CommitmentRow.called_ae_title == first.called_ae_title,
        ).limit(limit)
        with self._database.write() as session:
            rows = session.scalars(batch.with_for_update(skip_locked=True)).all()
            for row in rows:
                row.due_at, row.attempt = now + CLAIM, row.attempt + 1
            return [_commitment(row) for row in rows]

    def reported(self, commitment_id: int) -> None:
        """Write down that the peer took the report."""
        with self._database.write() as session:
            session.execute(
                update(CommitmentRow)
                .where(CommitmentRow.id == commitment_id)
                .values(due_at=None, reported_at=self._clock.now(), last_error=None)
            )

    def failed(self, commitment: Commitment, error: MedaetError) -> None:
        """Try again later, or give up when that cannot help."""
        doublings = min(max(commitment.attempt - 1, 0), 30)
        wait = min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT) * random.uniform(0.5, 1)  # noqa: S311
        is_hopeless = not isinstance(error, TransientError) or commitment.attempt >= MOST_ATTEMPTS
        with self._database.write() as session:
            session.execute(
                update(CommitmentRow)
                .where(CommitmentRow.id == commitment.id)
                .values(
                    due_at=None if is_hopeless else self._clock.now() + wait,
                    last_error=str(error),
                )
            )

    def forget(self, before: datetime) -> None:
        """Delete requests older than a moment that nobody has to be told of any more."""
        with self._database.write() as session:
            session.execute(
                delete(CommitmentRow).where(
                    CommitmentRow.requested_at < before, CommitmentRow.due_at.is_(None)
                )
            )

    def _reason(self, one: Reference, known: Mapping[str, InstanceRow]) -> int | None:
        """Return the Failure Reason; None when we answer for the instance."""
        row = known.get(one.sop_instance_uid)
        if row is None:
            return NO_SUCH_INSTANCE
        if row.sop_class_uid != one.sop_class_uid:
            return CONFLICT
        try:
            is_whole = self._spool.path(row.path).stat().st_size == row.size_bytes
        except OSError:
            is_whole = False
        return None if is_whole else PROCESSING_FAILURE


def _known(session: Session, uids: Sequence[str]) -> dict[str, InstanceRow]:
    """Find the current instances under these UIDs; the newest, if several series have one."""
    found: dict[str, InstanceRow] = {}
    for some in _slices(uids):
        query = (
            select(InstanceRow)
            .where(InstanceRow.sop_instance_uid.in_(some), InstanceRow.replaced_at.is_(None))
            .order_by(InstanceRow.id)
        )
        found.update({row.sop_instance_uid: row for row in session.scalars(query)})
    return found


def _mark(session: Session, ids: Sequence[int], now: datetime) -> None:
    for some in _slices(ids):
        session.execute(
            update(InstanceRow).where(InstanceRow.id.in_(some)).values(committed_at=now),
            execution_options={"synchronize_session": False},
        )


def _slices(values: Sequence[int] | Sequence[str]) -> Iterator[Iterable[int] | Iterable[str]]:
    yield from (values[at : at + UIDS_A_QUERY] for at in range(0, len(values), UIDS_A_QUERY))


def _commitment(row: CommitmentRow) -> Commitment:
    return Commitment(
        id=row.id,
        calling_ae_title=row.calling_ae_title,
        called_ae_title=row.called_ae_title,
        transaction_uid=row.transaction_uid,
        committed=tuple(Reference(*one) for one in row.answer["committed"]),
        failed=tuple(
            (Reference(sop_class, uid), reason) for sop_class, uid, reason in row.answer["failed"]
        ),
        attempt=row.attempt,
    )
