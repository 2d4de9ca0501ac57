"""Tell peers what we answer for, in associations of our own."""

from datetime import timedelta

import structlog

from medaet.config.model import Config, Peer
from medaet.errors import MedaetError, PeerRefusedError, PeerUnavailableError
from medaet.network.reporting import report
from medaet.store.commitments import Commitment, CommitmentStore

log = structlog.get_logger()

POLL = timedelta(seconds=1)
AT_ONCE = timedelta(0)


class Confirm:
    """The stage that reports storage commitments."""

    name = "confirm"

    def __init__(self, commitments: CommitmentStore, config: Config) -> None:
        self._commitments = commitments
        self._config = config

    def step(self) -> timedelta:
        """Report what is due to the peer whose turn it is."""
        batch = self._commitments.claim()
        if not batch:
            return POLL
        title = batch[0].calling_ae_title
        peer = self._config.peer_by_ae_title(title)
        if peer is None:
            unknown = PeerRefusedError(
                f"there is no peer with AE title {title}; add it to [[peers]], with host and port"
            )
            self._fail(batch, title, unknown)
            return AT_ONCE
        self._report(peer, batch)
        return AT_ONCE

    def _report(self, peer: Peer, batch: list[Commitment]) -> None:
        left = list(batch)
        try:
            for commitment, error in report(peer, batch):
                left.remove(commitment)
                if error is None:
                    self._commitments.reported(commitment.id)
                    log.info(
                        "commitment.reported",
                        peer=peer.name,
                        committed=len(commitment.committed),
                        failed=len(commitment.failed),
                    )
                else:
                    self._fail([commitment], peer.name, error)
        except PeerUnavailableError as error:
            self._fail(left, peer.name, error)

    def _fail(self, batch: list[Commitment], peer: str, error: MedaetError) -> None:
        for commitment in batch:
            self._commitments.failed(commitment, error)
        log.warning("commitment.unreported", peer=peer, commitments=len(batch), reason=str(error))
