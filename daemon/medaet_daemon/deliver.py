"""Deliver results: one association for what is due to a peer, one verdict for each result."""

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import structlog

from medaet.config.model import Config, Peer
from medaet.errors import (
    LeaseLostError,
    MedaetError,
    PeerRefusedError,
    PeerUnavailableError,
    TransientError,
)
from medaet.network.scu import SendOutcome, send
from medaet.plugin.hooks import Delivered, Hooks
from medaet.queue.deliveries import Delivery, DeliveryQueue
from medaet.store.files import Spool

log = structlog.get_logger()

POLL = timedelta(seconds=1)
AT_ONCE = timedelta(0)
BATCH = 20

LEASE = timedelta(seconds=30)
"""Short, so that a killed daemon delays its deliveries by this much only; renewed while they are being sent."""

RENEW_SECONDS = 10.0


class Deliver:
    """The stage that sends results to peers."""

    name = "deliver"

    def __init__(
        self,
        spool: Spool,
        deliveries: DeliveryQueue,
        config: Config,
        hooks: Hooks = Hooks({}),  # noqa: B008 -- frozen
    ) -> None:
        self._spool = spool
        self._deliveries = deliveries
        self._config = config
        self._hooks = hooks
        self._worker = f"deliver {socket.gethostname()} {os.getpid()}"

    def step(self) -> timedelta:
        """Send what is due to the peer whose turn it is."""
        batch = self._deliveries.lease_batch(self._worker, LEASE, BATCH)
        if not batch:
            return POLL
        peer = self._config.peer(batch[0].peer)
        if peer is None:
            self._fail(batch, _unknown(batch[0].peer))
            return AT_ONCE
        with _renewed(self._deliveries, batch):
            self._send(peer, batch)
        return AT_ONCE

    def _send(self, peer: Peer, batch: Sequence[Delivery]) -> None:
        paths = [self._spool.path(delivery.path) for delivery in batch]
        failed: list[MedaetError] = []
        try:
            outcomes = send(peer, self._config.listener.ae_title, paths)
            for delivery, outcome in zip(batch, outcomes, strict=True):
                self._settle(delivery, outcome)
                if isinstance(outcome.error, TransientError):
                    failed.append(outcome.error)
        except PeerUnavailableError as error:  # before anything was sent
            self._fail(batch, error)
            failed = [error] * len(batch)
        if failed:
            log.warning(
                "delivery.failed",
                peer=peer.name,
                deliveries=len(failed),
                error=type(failed[0]).__name__,
                reason=str(failed[0]),
            )

    def _settle(self, delivery: Delivery, outcome: SendOutcome) -> None:
        """Write down what the peer said about one result."""
        bound = log.bind(peer=delivery.peer, kind=delivery.kind, job_id=delivery.job_id)
        if outcome.error is not None:
            self._fail([delivery], outcome.error, outcome.status)
            return
        status = outcome.status or 0
        try:
            self._deliveries.sent(delivery, status)
        except LeaseLostError as error:
            bound.warning("lease.lost", reason=str(error))
            return
        if status:
            bound.warning("result.delivered", status=f"{status:04X}")
        else:
            bound.info("result.delivered", status=f"{status:04X}")
        self._hooks.delivered(
            Delivered(
                job_id=delivery.job_id,
                kind=delivery.kind,
                sop_instance_uid=delivery.sop_instance_uid,
                peer=delivery.peer,
                status=status,
            ),
            self._config.hooks_path,
        )

    def _fail(
        self, batch: Sequence[Delivery], error: MedaetError, status: int | None = None
    ) -> None:
        for delivery in batch:
            try:
                self._deliveries.fail(delivery, error, status)
            except LeaseLostError as lost:
                log.warning("lease.lost", peer=delivery.peer, reason=str(lost))


def _unknown(name: str) -> PeerRefusedError:
    return PeerRefusedError(
        f"there is no peer named {name!r} any more; add it to [[peers]] of medaet.toml, "
        "then `medaet deliveries retry ID`"
    )


@contextmanager
def _renewed(deliveries: DeliveryQueue, batch: Sequence[Delivery]) -> Iterator[None]:
    """Renew the leases of a batch from a thread, until the block ends."""
    done = threading.Event()
    thread = threading.Thread(target=_renew, args=(deliveries, batch, done), name="deliver-leases")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _renew(deliveries: DeliveryQueue, batch: Sequence[Delivery], done: threading.Event) -> None:
    held = list(batch)
    while held and not done.wait(RENEW_SECONDS):
        for delivery in list(held):
            try:
                deliveries.renew(delivery, LEASE)
            except (
                LeaseLostError
            ):  # sent or failed meanwhile, or taken away: its writer will notice
                held.remove(delivery)
            except MedaetError as error:
                log.warning("lease.threatened", peer=delivery.peer, reason=str(error))
