"""D-03 to D-05: every system call that matters fails, or is the last one; and all of them come in the right order."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from medaet.store.files import Spool
from tests.faults.receiver import config, found, receiving, stored
from tests.faults.senders import Instances, send
from tests.peers import missing, system_program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SYNCS = "fsync,fdatasync"
POINTS = int(os.environ.get("MEDAET_CALL_POINTS", "1"))
"""After how many calls of a kind the process is killed, at most; a release is made after dozens of each."""


def _strace(*arguments: str, output: Path) -> Sequence[str]:
    """Trace what the threads of a receiver do; needs the right to trace."""
    command = [system_program("strace"), "-f", "-qq", "-o", str(output)]
    probe = subprocess.run(
        [*command, system_program("true")], capture_output=True, check=False, timeout=30
    )
    if probe.returncode:
        missing("strace may not trace here")
    return [*command, *arguments]


@pytest.mark.parametrize(
    ("calls", "error", "when"),
    [
        (SYNCS, "EIO", "12+7"),
        ("writev", "ENOSPC", "2+3"),
        ("rename,renameat,renameat2", "EDQUOT", "2+3"),
        ("pwrite64", "ENOSPC", "150+100"),
    ],
    ids=["sync", "write", "rename", "database-write"],
)
def test_call_that_fails_is_answered_with_out_of_resources_until_it_works_again(
    tmp_path: Path, free_port: int, calls: str, error: str, when: str
) -> None:
    settings = config(tmp_path, free_port, processes=1)
    instances = Instances()
    inject = ("-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}")
    with receiving(settings, under=_strace(*inject, output=tmp_path / "trace")) as receiver:
        sent = send(receiver.peer, instances, 30)
    assert len(sent) == 30
    statuses = [status for _, status in sent]
    assert set(statuses) == {0x0000, 0xA700}
    left = found(settings, [])
    assert (left.fileless, left.parts) == (0, 0)
    assert {uid for uid, status in sent if status == 0} <= stored(settings)


@pytest.mark.parametrize(
    ("call", "step"),
    [("fdatasync", 5), ("fsync", 4), ("renameat", 4), ("writev", 4), ("pwrite64", 110)],
)
def test_receiver_that_is_killed_at_a_call_has_lost_nothing(
    tmp_path: Path, free_port: int, call: str, step: int
) -> None:
    settings = config(tmp_path, free_port, processes=1)
    instances = Instances()
    sent: list[tuple[str, int]] = []
    for point in range(1, POINTS + 1):
        inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={6 + step * point}")
        under = _strace(*inject, output=tmp_path / "trace")
        with receiving(settings, under=under) as receiver:
            sent += send(receiver.peer, instances, 40, series=point)
            receiver.process.wait(30)  # the call has come, and ended it
    Spool(settings.spool.path).recover()
    left = found(settings, [])
    assert (left.fileless, left.parts) == (0, 0)
    assert {uid for uid, status in sent if status == 0} <= stored(settings)
    assert sent


def test_success_is_sent_after_everything_is_synced(tmp_path: Path, free_port: int) -> None:
    settings = config(tmp_path, free_port, processes=1)
    instances = Instances()
    trace = tmp_path / "trace"
    calls = f"trace={SYNCS},rename,renameat,writev,sendto,execve"
    with receiving(settings, under=_strace("-y", "-e", calls, output=trace)) as receiver:
        assert [status for _, status in send(receiver.peer, instances, 4)] == [0] * 4
    words = _words(trace.read_text().splitlines())
    last = [at for at, word in enumerate(words) if word == "rename"][-1] - 1
    assert words[last : last + 2] == ["write part", "rename"]
    assert sorted(words[last + 2 : last + 4]) == ["sync file", "sync folder"]  # side by side
    assert words[last + 4 : last + 6] == ["sync log", "answer"]
    assert trace.read_text().count("execve(") == 1  # that of the receiver itself


def _words(trace: list[str]) -> list[str]:
    """Say in words what a trace tells, in the order in which the calls returned."""
    words: list[str] = []
    begun: dict[str, str] = {}
    for line in trace:
        thread = line.split(maxsplit=1)[0]
        word = begun.pop(thread, "") if "resumed>" in line else _word(line)
        if word and "<unfinished ...>" in line and word != "answer":
            begun[thread] = word
        elif word:
            words.append(word)
    return words


def _word(line: str) -> str | None:
    """Say in words what a line of the trace tells."""
    for pattern, word in (
        (r"writev\(\d+<.*\.part>", "write part"),
        (r"rename\w*\(.*\.part", "rename"),
        (r"fdatasync\(\d+<.*\.dcm>", "sync file"),
        (r"fsync\(\d+<.*/instances/[0-9a-f]+>", "sync folder"),
        (r"f\w*sync\(\d+<.*medaet\.db-wal>", "sync log"),
        (r"sendto\(\d+<", "answer"),
    ):
        if re.search(pattern, line):
            return word
    return None
