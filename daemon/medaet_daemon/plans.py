"""What each peer gets: its profile, held against what it takes when it is asked."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from medaet.config.model import Config, Peer
from medaet.errors import PeerUnavailableError
from medaet.network import scu
from medaet.results.profile import PROFILES, Acceptance, Plan, pairs, plan

log = structlog.get_logger()

FRESH_SECONDS = 600.0
"""How long an answer counts: archives are reconfigured now and then, and results should follow."""

AGAIN_SECONDS = 60.0
"""How long a peer that did not answer is left alone; meanwhile its last answer counts."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a peer takes; None while nobody knows."""

    accepted: Acceptance | None
    until: float


class PeerPlans:
    """Plans for the peers of the configuration; each is asked what it takes once in a while.

    Args:
        config: Who they are, and their profiles.
        seconds: A clock that never goes back.
    """

    def __init__(self, config: Config, seconds: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._seconds = seconds
        self._answers: dict[str, _Answer] = {}

    def of(self, name: str) -> Plan:
        """Plan for a peer; one that is not configured any more, or cannot be asked, is taken to take everything."""
        peer = self._config.peer(name)
        if peer is None:
            return plan(PROFILES["default"], None)
        return plan(
            PROFILES[peer.profile],
            self._accepted(peer),
            extras=peer.extras,
            maximum_frames=peer.maximum_frames,
        )

    def _accepted(self, peer: Peer) -> Acceptance | None:
        known, now = self._answers.get(peer.name), self._seconds()
        if known is not None and now < known.until:
            return known.accepted
        wanted = pairs(PROFILES[peer.profile], peer.extras)
        try:
            accepted: Acceptance | None = scu.accepted(peer, self._config.listener.ae_title, wanted)
            until = now + FRESH_SECONDS
        except PeerUnavailableError as error:
            log.warning("peer.silent", peer=peer.name, reason=str(error))
            accepted, until = known.accepted if known else None, now + AGAIN_SECONDS
        self._answers[peer.name] = _Answer(accepted, until)
        return accepted
