"""What receiving costs: senders of dcmtk and one without think time, into MedAET, its peers, and the bare machine.

`make bench BENCH_ARGS='-k receive'` runs a small matrix. All of it, or a part:

    python -m tests.benchmarks.bench_receive --kinds ct mr --senders storescu blast --associations 1 4 16
"""

import argparse
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from pynetdicom.presentation import StoragePresentationContexts
from rich.console import Console
from rich.table import Table

from tests.benchmarks.instances import KINDS, Study, blocks, conversation, write_files
from tests.benchmarks.receivers import NODELAY, RECEIVERS, Running, running
from tests.faults.senders import EXPLICIT, RELEASE, request
from tests.peers import system_program

SENDERS = ("storescu", "storescu, no Nagle", "dcmsend", "dcmsend, no Nagle", "blast", "set-up")
SAID = Path("/dev/shm")
"""In memory: what is read must not compete with what is written."""

NATIVE = Path(__file__).with_name("native")
LONGEST_SECONDS = 120
CONTEXTS = 120


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is sent, by whom, in how many associations at once."""

    kind: str
    sender: str
    associations: int
    instances: int

    @property
    def title(self) -> str:
        """For a table."""
        if self.sender == "set-up":
            return f"{self.instances} associations one after another, {CONTEXTS} contexts offered"
        return (
            f"{self.instances} {self.kind} instances, {self.sender}, "
            f"{self.associations} association(s)"
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement; seconds of the sender, and CPU seconds of the receiver."""

    scenario: Scenario
    receiver: str
    seconds: float
    user: float
    system: float


def measure(scenario: Scenario, name: str, work: Path) -> Run | None:
    """Send to a fresh receiver, and see that it has everything; None where the two have no language in common."""
    receiver = RECEIVERS[name]
    if receiver.is_raw and scenario.sender != "blast":
        return None
    folder = work / "receiver"
    shutil.rmtree(folder, ignore_errors=True)
    with running(receiver, folder) as peer:
        warm = 0 if peer.is_raw else _warm_up(peer, work)
        send = _prepared(scenario, peer, work)
        before = peer.cpu_seconds()
        seconds = send()
        after = peer.cpu_seconds()
    stored = peer.count() - warm
    assert scenario.sender == "set-up" or stored == scenario.instances, f"{stored} are stored"
    return Run(scenario, name, seconds, after[0] - before[0], after[1] - before[1])


def _warm_up(peer: Running, work: Path) -> int:
    """Let the receiver load and compile what it needs only once in its life; return how many instances it got."""
    shutil.rmtree(SAID / work.name, ignore_errors=True)
    shares = [2] * 8
    _blast(Study(KINDS["tiny"], 2), shares, peer, work)()
    return sum(shares)


def _prepared(scenario: Scenario, peer: Running, work: Path) -> Callable[[], float]:
    """Make what is to be sent; return what sends it and says how long that took."""
    shutil.rmtree(SAID / work.name, ignore_errors=True)
    shares = [
        len(range(number, scenario.instances, scenario.associations))
        for number in range(scenario.associations)
    ]
    kind = KINDS[scenario.kind]
    if scenario.sender == "set-up":
        return lambda: _set_up(peer.port, scenario.instances)
    if scenario.sender == "blast":
        return _blast(Study(kind), shares, peer, work)
    program, _, setting = scenario.sender.partition(", ")
    command = [system_program(program), "-aec", "MEDAET", "127.0.0.1", str(peer.port)]
    study = Study(kind)
    folders = [SAID / work.name / str(number) for number in range(len(shares))]
    files = [
        write_files(study, share, folder) for share, folder in zip(shares, folders, strict=True)
    ]
    environment = {**os.environ, **(NODELAY if setting else {})}
    return lambda: _dcmtk([[*command, *map(str, paths)] for paths in files], environment)


def _blast(study: Study, shares: Sequence[int], peer: Running, work: Path) -> Callable[[], float]:
    (SAID / work.name).mkdir()
    pdu_bytes = 0 if peer.is_raw else peer.pdu_bytes()
    paths = []
    for number, share in enumerate(shares):
        said: Iterator[bytes] = (
            (content for _, content in study.take(share))
            if peer.is_raw
            else conversation(study, share, pdu_bytes=pdu_bytes)
        )
        paths.append(SAID / work.name / str(number))
        paths[-1].write_bytes(blocks(said))
    mode = "raw" if peer.is_raw else "dicom"
    command = [str(work / "blast"), str(peer.port), mode, *map(str, paths)]

    def send() -> float:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS
        )
        assert not done.returncode, done.stderr
        return float(done.stdout)

    return send


def _dcmtk(commands: Sequence[Sequence[str]], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    processes = [subprocess.Popen(command, env=environment) for command in commands]
    statuses = [process.wait(LONGEST_SECONDS) for process in processes]
    assert not any(statuses), statuses
    return time.perf_counter() - started


def _set_up(port: int, count: int) -> float:
    """Open and release associations that offer what an archive offers."""
    classes = [str(one.abstract_syntax) for one in StoragePresentationContexts][:CONTEXTS]
    asked = request("MEDAET", [(one, EXPLICIT) for one in classes])
    started = time.perf_counter()
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.sendall(asked)
            header = peer.recv(6, socket.MSG_WAITALL)
            assert header[0] == 2
            peer.recv(int.from_bytes(header[2:], "big"), socket.MSG_WAITALL)
            peer.sendall(RELEASE)
            peer.recv(10, socket.MSG_WAITALL)
    return time.perf_counter() - started


def compare(scenarios: Sequence[Scenario], receivers: Sequence[str], rounds: int) -> Iterator[Run]:
    """Measure everything `rounds` times, in random order within each."""
    shuffled = random.Random()
    with tempfile.TemporaryDirectory(prefix="medaet-bench-") as folder:
        work = Path(folder)
        for program in ("blast", "limit"):
            source = NATIVE / f"{program}.c"
            target = work / program
            subprocess.run(["cc", "-O2", "-pthread", "-o", target, source], check=True)
        for _ in range(rounds):
            cases = list(product(scenarios, receivers))
            shuffled.shuffle(cases)
            yield from (run for case in cases if (run := _tried(*case, work)) is not None)
        shutil.rmtree(SAID / work.name, ignore_errors=True)


def _tried(scenario: Scenario, name: str, work: Path) -> Run | None:
    """Measure once; say so, and go on, when a receiver hangs, refuses or loses something."""
    try:
        return measure(scenario, name, work)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        reason = str(error).splitlines()[0][:100]
        Console(width=130).print(f"FAILED: {name}, {scenario.title}: {reason}")
        return None


def show(runs: Sequence[Run]) -> None:
    """Print a table for each scenario; the fastest first."""
    for scenario in dict.fromkeys(run.scenario for run in runs):
        table = Table(title=scenario.title)
        for column in ("receiver", "a second", "min..max", "of the fastest"):
            table.add_column(column)
        table.add_column("user ms each")
        table.add_column("system ms each")
        rates = {
            name: sorted(scenario.instances / run.seconds for run in _of(runs, scenario, name))
            for name in {run.receiver for run in runs if run.scenario == scenario}
        }
        best = max(map(statistics.median, rates.values()))
        for name, found in sorted(rates.items(), key=lambda one: -statistics.median(one[1])):
            of = _of(runs, scenario, name)
            median = statistics.median(found)
            costs = (
                statistics.median(1000 * getattr(run, cost) / scenario.instances for run in of)
                for cost in ("user", "system")
            )
            table.add_row(
                name,
                f"{median:.0f}",
                f"{found[0]:.0f}..{found[-1]:.0f}",
                f"{median / best:.2f}",
                *(f"{cost:.2f}" for cost in costs),
            )
        Console(width=130).print(table)


def _of(runs: Sequence[Run], scenario: Scenario, name: str) -> list[Run]:
    return [run for run in runs if (run.scenario, run.receiver) == (scenario, name)]


def test_receive() -> None:
    scenarios = [
        Scenario("ct", "storescu", 1, 40),
        Scenario("ct", "blast", 4, 200),
        Scenario("tiny", "blast", 100, 100),
        Scenario("tiny", "set-up", 1, 30),
    ]
    show(list(compare(scenarios, list(RECEIVERS), 3)))


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["ct"])
    parser.add_argument("--senders", nargs="+", choices=SENDERS, default=list(SENDERS))
    parser.add_argument("--associations", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--receivers", nargs="+", choices=RECEIVERS, default=list(RECEIVERS))
    parser.add_argument("--instances", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="append each measurement to this file")
    parser.add_argument(
        "--show", type=Path, help="print the tables of such a file, measure nothing"
    )
    options = parser.parse_args()
    if options.show:
        show([_decoded(line) for line in options.show.read_text().splitlines()])
        return
    scenarios = [
        Scenario(kind, sender, associations, options.instances)
        for kind, sender, associations in product(
            options.kinds, options.senders, options.associations
        )
    ]
    runs = []
    for run in compare(scenarios, options.receivers, options.rounds):
        runs.append(run)
        if options.json:
            with options.json.open("a") as file:
                file.write(json.dumps(asdict(run)) + "\n")
    show(runs)


def _decoded(line: str) -> Run:
    values = json.loads(line)
    return Run(**{**values, "scenario": Scenario(**values["scenario"])})


if __name__ == "__main__":
    main()
