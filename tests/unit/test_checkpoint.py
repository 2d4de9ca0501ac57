"""The place where pynetdicom's thread waits: nobody passes it while it is closed."""

import threading
import time

from medaet.network import checkpoint as module
from medaet.network.checkpoint import Checkpoint


def test_nobody_passes_between_close_and_open() -> None:
    """What pynetdicom's thread does, and what whoever sends does, as fast as they can."""
    checkpoint, is_over = Checkpoint(), threading.Event()
    is_sending = stolen = 0

    def react() -> None:
        nonlocal stolen
        while not is_over.is_set():
            checkpoint.wait()
            stolen += is_sending

    reactor = threading.Thread(target=react)
    reactor.start()
    for _ in range(2000):
        checkpoint.clear()
        is_sending = 1
        is_sending = 0
        checkpoint.set()
    is_over.set()
    reactor.join(10)
    assert stolen == 0


def test_thread_that_has_ended_is_not_waited_for() -> None:
    started = time.monotonic()
    Checkpoint().clear()
    assert time.monotonic() - started < module.STOP_SECONDS + 5
