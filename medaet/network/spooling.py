"""The sink of the daemon: files first, then the row, then the answer, so that what was promised is found again."""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from medaet.clock import Clock
from medaet.dicom.intake import Intake, take_in
from medaet.errors import DatabaseUnavailableError, MedaetError
from medaet.network.reception import Buffer
from medaet.store.arrivals import Arrival, Arrivals
from medaet.store.associations import Ending, Sender
from medaet.store.engine import Database
from medaet.store.files import Spool, sha256_of
from medaet.store.instances import Arrived, Conflict, InstanceStore, Recorded
from medaet.store.received import ReceivedIndex

COMPARISONS = 5


class SpoolSink:
    """Writes instances into the spool, and indexes them.

    Args:
        spool: Where files go.
        database: Where rows go.
        clock: Tells when an instance came.
        conflict: What becomes of other bytes under a known SOP Instance UID.
        receiver: Names this process; "" where associations are not recorded.
    """

    def __init__(
        self,
        spool: Spool,
        database: Database,
        clock: Clock,
        *,
        conflict: Conflict = "use-newest",
        receiver: str = "",
    ) -> None:
        self._spool = spool
        self._receiver = receiver
        self._arrivals = Arrivals(spool)
        self._instances = InstanceStore(database, clock, conflict=conflict)
        self._log = structlog.get_logger().bind()  # once: for every instance it would take its time
        self._index = ReceivedIndex(database, self._instances, clock)

    def congestion(self) -> str | None:
        """Say why nothing can be taken just now, before it has to be refused (see InstanceSink)."""
        return self._spool.shortage()

    def open(self, start: bytes, transfer_syntax_uid: str) -> "SpoolIncoming":
        """Begin an instance (see InstanceSink)."""
        return SpoolIncoming(self, self._arrivals.open(), start, transfer_syntax_uid)

    def keep(self, arrival: Arrival, intake: Intake, sender: Sender) -> Recorded:
        """Make an instance durable, then index it.

        Raises:
            OutOfSpaceError, DatabaseUnavailableError, InstanceError: it is not promised.
        """
        stored = arrival.settle()
        arrived = Arrived(intake, stored, sender, self._receiver)
        recorded = self._index.add(arrived)
        if recorded is not None:
            return recorded
        arrived = replace(arrived, stored=replace(stored, sha256=arrival.sha256()))
        for _ in range(COMPARISONS):  # more than once only if others send the same at the same time
            self._digest(intake)
            recorded = self._index.compare(arrived)
            if recorded is not None:
                return recorded
        raise DatabaseUnavailableError("the instance is stored by others at the same time")

    def end(self, sender: Sender, ending: Ending) -> None:
        """Note how an association ended, which tells whether its series are complete (see InstanceSink)."""
        try:
            self._index.end(sender, ending)
        except MedaetError as error:
            self._log.warning("association.unrecorded", reason=str(error))

    def tell(self, recorded: Recorded, intake: Intake, sender: Sender) -> None:
        """Log what an instance turned out to be."""
        self._log.debug(
            "instance.stored",
            series_id=recorded.series_id,
            sop_instance_uid=intake.ref.sop_instance_uid,
            is_new=recorded.is_new,
        )
        if recorded.conflict:
            self._log.warning(
                "instance.replaced",
                series_id=recorded.series_id,
                sop_instance_uid=intake.ref.sop_instance_uid,
                calling_ae_title=sender.calling_ae_title,
                reason="other bytes came under a known SOP Instance UID; both are kept",
            )

    def _digest(self, intake: Intake) -> None:
        """Compute the digests that are missing of what is known under an instance's UID."""
        self._instances.keep_digests(
            [
                (one, sha256_of(self._spool.path(path)))
                for one, path in self._instances.undigested(intake.ref)
            ]
        )


class SpoolIncoming:
    """One instance on its way into the spool (see Incoming)."""

    def __init__(
        self, sink: SpoolSink, arrival: Arrival, start: bytes, transfer_syntax_uid: str
    ) -> None:
        self._sink = sink
        self._arrival = arrival
        self._start: list[Buffer] = [start]
        self._start_bytes = len(start)
        self._transfer_syntax_uid = transfer_syntax_uid

    def write(self, pieces: Sequence[Buffer]) -> None:
        """Add bytes (see Incoming)."""
        if self._start:  # with the first bytes of the data set, in one call
            pieces = [*self._start, *pieces]
            self._start.clear()
        self._arrival.write(pieces)

    def inspect(self) -> Intake:
        """Read what came (see Incoming)."""
        self.write(())
        return take_in(
            self._arrival.read,
            start=self._start_bytes,
            end=self._arrival.size_bytes,
            transfer_syntax_uid=self._transfer_syntax_uid,
        )

    def keep(self, intake: Intake, sender: Sender) -> Recorded:
        """Keep it (see Incoming); return what it turned out to be."""
        try:
            recorded = self._sink.keep(self._arrival, intake, sender)
        except DatabaseUnavailableError:
            self._arrival.close()  # nobody knows whether the row is there: the file has to stay
            raise
        if recorded.is_new:
            self._arrival.close()
        else:
            self._arrival.discard()  # the same bytes are there already
        self._sink.tell(recorded, intake, sender)
        return recorded

    def discard(self) -> None:
        """Leave nothing of it (see Incoming)."""
        self._arrival.discard()
