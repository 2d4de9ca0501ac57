"""A lease that is kept while its holder works."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog

from medaet.errors import LeaseLostError, MedaetError
from medaet.queue.jobs import JobQueue
from medaet.queue.rows import Job

log = structlog.get_logger()


class KeptLease:
    """Tells the holder whether the lease still holds."""

    def __init__(self) -> None:
        self._lost = threading.Event()

    def lose(self) -> None:
        """Note that another worker may have the job."""
        self._lost.set()

    def check(self) -> None:
        """Stop the work of who no longer holds the job.

        Raises:
            LeaseLostError: another worker may have the job.
        """
        if self._lost.is_set():
            raise LeaseLostError("the lease ended while the job was being worked on")


@contextmanager
def kept(queue: JobQueue, job: Job, length: timedelta) -> Iterator[KeptLease]:
    """Renew a job's lease from a thread, three times in its length, until the block ends."""
    lease, done = KeptLease(), threading.Event()

    def renew() -> None:
        missed = 0
        while not done.wait(length.total_seconds() / 3):
            try:
                queue.renew(job, length)
                missed = 0
            except LeaseLostError:
                lease.lose()
                return
            except MedaetError as error:
                missed += 1
                log.warning("lease.threatened", job_id=job.id, reason=str(error))
                if missed == 2:  # a third miss would be too late to stop before another starts
                    lease.lose()
                    return

    thread = threading.Thread(target=renew, name=f"lease-{job.id}")
    thread.start()
    try:
        yield lease
    finally:
        done.set()
        thread.join()
