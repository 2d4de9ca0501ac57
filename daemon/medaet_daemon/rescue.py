"""Give back jobs and deliveries whose lease ended because their holder died."""

from datetime import timedelta

import structlog

from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue

log = structlog.get_logger()

POLL = timedelta(seconds=2)


class Rescue:
    """The stage that looks for ended leases."""

    name = "rescue"

    def __init__(self, jobs: JobQueue, deliveries: DeliveryQueue) -> None:
        self._jobs = jobs
        self._deliveries = deliveries

    def step(self) -> timedelta:
        """Rescue everything whose lease has ended."""
        jobs, deliveries = self._jobs.rescue(), self._deliveries.rescue()
        if jobs or deliveries:
            log.warning("lease.rescued", jobs=jobs, deliveries=deliveries)
        return POLL
