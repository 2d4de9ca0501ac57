"""How the storage SCP stops: what has begun is answered, in bounded time."""

import threading
import time

import pytest

from medaet.config.model import Listener, Peer
from medaet.errors import PeerUnavailableError
from medaet.network.engine import Engine
from medaet.network.fallback import FallbackEngine
from medaet.network.scu import SendOutcome, echo
from tests.stages.receiving import ENGINES, SCANNER, Disk, associated, sample, sent, wait_for

Kind = type[Engine] | type[FallbackEngine]


@pytest.fixture(params=list(ENGINES))
def kind(request: pytest.FixtureRequest) -> Kind:
    return ENGINES[request.param]


def _started(kind: Kind, disk: Disk) -> tuple[Engine | FallbackEngine, Peer]:
    scp = kind(Listener(host="127.0.0.1", port=0), [SCANNER], disk)
    scp.start()
    return scp, Peer(name="medaet", ae_title="MEDAET", host="127.0.0.1", port=scp.ports[0])


def test_stop_lets_a_running_store_finish(kind: Kind) -> None:
    disk = Disk()
    disk.go_on.clear()
    scp, peer = _started(kind, disk)
    outcomes: list[SendOutcome] = []
    sender = threading.Thread(target=lambda: outcomes.extend(sent(peer, sample())))
    sender.start()
    assert disk.entered.wait(10)
    stopping = threading.Thread(target=scp.stop, args=(10,))
    stopping.start()
    stopping.join(0.3)
    assert stopping.is_alive()
    disk.go_on.set()
    stopping.join(10)
    sender.join(10)
    assert [outcome.status for outcome in outcomes] == [0x0000]
    with pytest.raises(PeerUnavailableError):
        echo(peer, "SCANNER")


def test_stop_is_bounded_when_a_store_never_finishes(kind: Kind) -> None:
    disk = Disk()
    disk.go_on.clear()
    scp, peer = _started(kind, disk)
    sender = threading.Thread(target=sent, args=(peer, sample()))
    sender.start()
    assert disk.entered.wait(10)
    started = time.monotonic()
    scp.stop(drain_seconds=0.2)
    assert time.monotonic() - started < 6
    disk.go_on.set()
    sender.join(10)


def test_stop_aborts_an_association_that_says_nothing(kind: Kind) -> None:
    scp, peer = _started(kind, Disk())
    association = associated(peer)
    assert association.is_established
    started = time.monotonic()
    scp.stop(drain_seconds=20)
    assert time.monotonic() - started < 5
    wait_for(lambda: association.is_aborted)
