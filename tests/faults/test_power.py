"""D-02: a power cut, simulated by shutting a file system down, loses nothing acknowledged in mode power-loss."""

import contextlib
import fcntl
import os
import random
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError

from medaet.config.model import Config
from medaet.store.files import Spool
from tests.faults.receiver import config, found, receiving
from tests.faults.senders import Instances, Senders, Sent
from tests.peers import missing, system_program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("MEDAET_POWER_ROUNDS", "1"))
IMAGE_BYTES = 1 << 30
EXT4_IOC_SHUTDOWN, WITHOUT_FLUSH = 0x8004587D, 2


@dataclass(frozen=True, slots=True)
class Disk:
    """An ext4 file system in a file, on a loop device."""

    image: Path
    folder: Path

    def mount(self) -> None:
        done = subprocess.run(
            [system_program("mount"), "-o", "loop", self.image, self.folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            missing(f"a loop device cannot be mounted: {done.stderr.strip()}")

    def cut_power(self) -> None:
        """Let nothing more reach the disk, not even what the journal holds; then take it away."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        deadline = time.monotonic() + 20
        while subprocess.run(
            [system_program("umount"), self.folder], capture_output=True, check=False
        ).returncode:
            assert time.monotonic() < deadline, "the disk stays busy"
            time.sleep(0.1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid():
        missing("mounting a file system needs root")
    one = Disk(tmp_path / "image", tmp_path / "disk")
    one.folder.mkdir()
    with one.image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run([system_program("mkfs.ext4"), "-q", one.image], check=True)
    one.mount()
    try:
        yield one
    finally:
        with contextlib.suppress(AssertionError):
            one.unmount()


def test_power_cut_loses_no_acknowledged_instance(
    disk: Disk, tmp_path: Path, free_port: int
) -> None:
    settings = config(disk.folder, free_port)
    instances, moments = Instances(), random.Random(11)
    acknowledged = []
    for _ in range(ROUNDS):
        with receiving(settings, log=tmp_path / "log") as receiver:
            senders = Senders(receiver.peer)
            senders.start(instances)
            until = time.monotonic() + moments.uniform(1, 4)
            while time.monotonic() < until or senders.stored() < 12:
                time.sleep(0.005)
            disk.cut_power()
            cut_at = time.monotonic()
            receiver.kill()
            acknowledged += [one for one in senders.stop() if one.at < cut_at]
        disk.unmount()
        disk.mount()
        Spool(settings.spool.path).recover()
        left = found(settings, acknowledged)
        assert (left.missing, left.wrong, left.fileless, left.parts) == (0, 0, 0, 0)
    assert left.acknowledged >= 12 * ROUNDS
    print(f"power cut: 0 of {left.acknowledged} lost in {ROUNDS} rounds")  # noqa: T201


def test_power_cut_is_noticed_where_nothing_is_synced(
    disk: Disk, tmp_path: Path, free_port: int
) -> None:
    """The test above has teeth: in mode crash, which does not promise it, a power cut does lose instances."""
    settings = config(disk.folder, free_port, durability="crash")
    with receiving(settings, log=tmp_path / "log") as receiver:
        senders = Senders(receiver.peer)
        senders.start(Instances())
        while senders.stored() < 40:
            time.sleep(0.005)
        disk.cut_power()
        cut_at = time.monotonic()
        receiver.kill()
        acknowledged = [one for one in senders.stop() if one.at < cut_at]
    disk.unmount()
    disk.mount()
    assert _lost(settings, acknowledged) > 0


def _lost(settings: Config, acknowledged: list[Sent]) -> int:
    """Count what is missing; all of it when the database itself is gone or damaged."""
    if not (settings.spool.path.parent / "medaet.db").exists():
        return len(acknowledged)
    try:
        return found(settings, acknowledged).missing
    except DatabaseError:
        return len(acknowledged)
