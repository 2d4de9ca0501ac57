"""The index of what is received: rows of concurrent associations in one transaction, before their C-STORE responses."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from medaet.clock import Clock
from medaet.errors import DatabaseUnavailableError
from medaet.store.associations import Ending, Sender
from medaet.store.engine import Database
from medaet.store.group import Group
from medaet.store.hot import HotStatements
from medaet.store.instances import Arrived, InstanceStore, Recorded

REMEMBERED_SERIES = 4096

Key = tuple[str, str]
"""Study and Series Instance UID."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An association that has ended."""

    sender: Sender
    ending: Ending


class ReceivedIndex:
    """Records received instances; of the threads that wait, one commits for all.

    Args:
        database: Where the rows go.
        instances: Records what takes more than an insert: the first of a series, and what came before.
        clock: Tells when an instance came.
    """

    def __init__(self, database: Database, instances: InstanceStore, clock: Clock) -> None:
        self._database = database
        self._instances = instances
        self._clock = clock
        self._hot = HotStatements(database.engine)
        self._group: Group[Arrived | Ended, Recorded | None] = Group(self._commit)
        self._lock = threading.Lock()
        self._known: dict[Key, tuple[int, int]] = {}
        self._begun: set[int] = set()

    def add(self, arrived: Arrived) -> Recorded | None:
        """Record an instance for good; None when its SOP Instance UID is in its series already.

        Raises:
            DatabaseUnavailableError: it may be recorded, or not; the file has to stay.
            InstanceError: a value does not fit the database; nothing was recorded.
        """
        if _key(arrived) in self._known:
            recorded = self._group.do(arrived)
            if recorded is not None:
                return recorded
        return self.compare(arrived)

    def compare(self, arrived: Arrived) -> Recorded | None:
        """Record an instance with more questions asked; None when a digest is missing to tell it from known ones.

        Raises:
            DatabaseUnavailableError, InstanceError: as for `add`.
        """
        recorded = self._instances.record(arrived)
        if recorded is not None:
            self._remember(arrived, recorded)
        return recorded

    def end(self, sender: Sender, ending: Ending) -> None:
        """Note how an association ended, if it brought anything.

        Raises:
            DatabaseUnavailableError: it was not noted.
        """
        if sender.association_id in self._begun:
            self._begun.discard(sender.association_id)
            self._group.do(Ended(sender, ending))

    def _remember(self, arrived: Arrived, recorded: Recorded) -> None:
        with self._lock:
            if len(self._known) >= REMEMBERED_SERIES:
                self._known.clear()
            self._known[_key(arrived)] = (recorded.series_id, recorded.study_id)
        self._begun.add(arrived.sender.association_id)

    def _commit(self, group: Sequence[Arrived | Ended]) -> list[Recorded | None]:
        """Record a group in one transaction.

        Returns:
            For each what it turned out to be; None where its series is not open, or its UID is not new: those take
            the way that asks more questions.
        """
        try:
            return self._written(group)
        except DatabaseUnavailableError:
            if not self._database.is_remote:
                raise
            return self._written(group)  # the connection was stale; to write twice is to write once

    def _written(self, group: Sequence[Arrived | Ended]) -> list[Recorded | None]:
        """Record a group in one transaction."""
        found: list[Recorded | None] = [None] * len(group)
        of_series: dict[tuple[int, int], list[int]] = {}
        begun: set[int] = set()
        now = self._clock.now()
        with self._database.direct_write() as cursor:
            for number, one in enumerate(group):
                if isinstance(one, Ended):
                    self._hot.end(cursor, one.sender, one.ending, now)
                    continue
                ids = self._known.get(_key(one))
                if ids is None:
                    continue
                of_series.setdefault(ids, []).append(number)
                sender = one.sender
                if sender.association_id not in self._begun:
                    self._hot.begin(cursor, sender, one.receiver, now)
                    begun.add(sender.association_id)
            # In the order of their ids, as everybody locks them: PostgreSQL would see a deadlock otherwise.
            for (series_id, study_id), numbers in sorted(of_series.items()):
                arrived = [one for n in numbers if isinstance(one := group[n], Arrived)]
                recorded = Recorded(study_id, series_id, True, False, False)
                for number, is_new in zip(
                    numbers, self._hot.insert(cursor, series_id, arrived, now), strict=True
                ):
                    found[number] = recorded if is_new else None
            for study_id in sorted({study_id for _, study_id in of_series}):
                self._hot.touch_study(cursor, study_id, now)
        self._begun |= begun
        return found


def _key(arrived: Arrived) -> Key:
    """Return which series an instance belongs to."""
    ref = arrived.intake.ref
    return ref.study_instance_uid, ref.series_instance_uid
