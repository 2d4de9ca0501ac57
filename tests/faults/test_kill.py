"""D-01: SIGKILL of the receiver at any moment loses nothing that was acknowledged, and shows nothing half."""

import os
import random
import time
from pathlib import Path

import pytest

from medaet.store.files import Spool
from tests.faults.receiver import config, found, receiving
from tests.faults.senders import Instances, Senders

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("MEDAET_KILL_ROUNDS", "2"))
"""How often each receiver is killed; a release is made after hundreds of rounds."""


@pytest.mark.parametrize("durability", ["power-loss", "crash"])
def test_kill_at_any_moment_loses_no_acknowledged_instance(
    tmp_path: Path, free_port: int, durability: str
) -> None:
    settings = config(tmp_path, free_port, durability=durability)
    instances, moments = Instances(), random.Random(7)
    acknowledged = []
    for _ in range(ROUNDS):
        with receiving(settings) as receiver:
            senders = Senders(receiver.peer)
            senders.start(instances)
            until = time.monotonic() + moments.uniform(0.5, 2.5)
            while time.monotonic() < until or senders.stored() < 12:
                time.sleep(moments.uniform(0.001, 0.01))
            receiver.kill()
            acknowledged += senders.stop()
        Spool(settings.spool.path).recover()
        left = found(settings, acknowledged)
        assert (left.missing, left.wrong, left.fileless, left.parts) == (0, 0, 0, 0)
        assert left.rowless <= ROUNDS * senders.count
    assert left.acknowledged >= 12 * ROUNDS
    print(f"kill -9, {durability}: 0 of {left.acknowledged} lost in {ROUNDS} rounds")  # noqa: T201
