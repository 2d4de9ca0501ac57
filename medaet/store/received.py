"""The index of what is received: rows of concurrent associations in one transaction, before their C-STORE responses."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from medaet.clock import Clock
from medaet.errors import DatabaseUnavailableError
from medaet.store.arrivals import Arrivals, Folder
from medaet.store.associations import Ending, Sender
from medaet.store.engine import Database
from medaet.store.group import Group
from medaet.store.hot import HotStatements
from medaet.store.instances import Arrived, InstanceStore, Recorded

REMEMBERED_SERIES = 4096

Key = tuple[str, str]
"""Study and Series Instance UID."""


@dataclass(frozen=True, slots=True)
class Received:
    """One instance whose file is in the spool.

    Attributes:
        folder: Of the file; its names are not synced yet.
    """

    arrived: Arrived
    folder: Folder

    @property
    def key(self) -> Key:
        """Which series it belongs to."""
        ref = self.arrived.intake.ref
        return ref.study_instance_uid, ref.series_instance_uid


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
        arrivals: Whose folders are synced before a row names a file in them.
        clock: Tells when an instance came.
    """

    def __init__(
        self, database: Database, instances: InstanceStore, arrivals: Arrivals, clock: Clock
    ) -> None:
        self._database = database
        self._instances = instances
        self._arrivals = arrivals
        self._clock = clock
        self._hot = HotStatements(database.engine)
        self._group: Group[Received | Ended, Recorded | None] = Group(self._commit)
        self._lock = threading.Lock()
        self._known: dict[Key, tuple[int, int]] = {}
        self._begun: set[int] = set()

    def add(self, received: Received) -> Recorded | None:
        """Record an instance for good; None when its SOP Instance UID is in its series already.

        Raises:
            DatabaseUnavailableError, OutOfSpaceError: it may be recorded, or not; the file has to stay.
            InstanceError: a value does not fit the database; nothing was recorded.
        """
        if received.key in self._known:
            recorded = self._group.do(received)
            if recorded is not None:
                return recorded
        self._arrivals.sync([received.folder])
        return self.compare(received)

    def compare(self, received: Received) -> Recorded | None:
        """Record an instance whose folder is synced; None when a digest is missing to tell it from known ones.

        Raises:
            DatabaseUnavailableError, InstanceError: as for `add`.
        """
        recorded = self._instances.record(received.arrived)
        if recorded is not None:
            self._remember(received, recorded)
        return recorded

    def end(self, sender: Sender, ending: Ending) -> None:
        """Note how an association ended, if it brought anything.

        Raises:
            DatabaseUnavailableError: it was not noted.
        """
        if sender.association_id in self._begun:
            self._begun.discard(sender.association_id)
            self._group.do(Ended(sender, ending))

    def _remember(self, received: Received, recorded: Recorded) -> None:
        with self._lock:
            if len(self._known) >= REMEMBERED_SERIES:
                self._known.clear()
            self._known[received.key] = (recorded.series_id, recorded.study_id)
        self._begun.add(received.arrived.sender.association_id)

    def _commit(self, group: Sequence[Received | Ended]) -> list[Recorded | None]:
        """Sync the folders of a group, then record it in one transaction.

        Returns:
            For each what it turned out to be; None where its series is not open, or its UID is not new: those take
            the way that asks more questions.
        """
        folders = {id(one.folder): one.folder for one in group if isinstance(one, Received)}
        self._arrivals.sync(folders.values())
        try:
            return self._written(group)
        except DatabaseUnavailableError:
            if not self._database.is_remote:
                raise
            return self._written(group)  # the connection was stale; to write twice is to write once

    def _written(self, group: Sequence[Received | Ended]) -> list[Recorded | None]:
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
                ids = self._known.get(one.key)
                if ids is None:
                    continue
                of_series.setdefault(ids, []).append(number)
                sender = one.arrived.sender
                if sender.association_id not in self._begun:
                    self._hot.begin(cursor, sender, one.arrived.receiver, now)
                    begun.add(sender.association_id)
            # In the order of their ids, as everybody locks them: PostgreSQL would see a deadlock otherwise.
            for (series_id, study_id), numbers in sorted(of_series.items()):
                arrived = [one.arrived for n in numbers if isinstance(one := group[n], Received)]
                recorded = Recorded(study_id, series_id, True, False, False)
                for number, is_new in zip(
                    numbers, self._hot.insert(cursor, series_id, arrived, now), strict=True
                ):
                    found[number] = recorded if is_new else None
            for study_id in sorted({study_id for _, study_id in of_series}):
                self._hot.touch_study(cursor, study_id, now)
        self._begun |= begun
        return found
