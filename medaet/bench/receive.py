"""Receiving over C-STORE: MedAET in both durability modes, dcmtk's storescp and pynetdicom, each its own process."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from medaet.bench.compared import OURS, Say, as_key, compared
from medaet.bench.report import Report
from medaet.config.model import Peer
from medaet.demo.site import free_ports
from medaet.errors import AnalysisError, MedaetError
from medaet.network import scu
from medaet.store import migrate
from medaet.testing.phantom import write_series

INSTANCES, QUICK_INSTANCES = 200, 20
SIDE = 512
START_SECONDS, STOP_SECONDS, POLL_SECONDS = 60.0, 20.0, 0.05
SENDING_SECONDS = 600
DCMTK_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Not the environment's: pynetdicom installs programs of the same names there."""

CONFIGURATION = """\
[listener]
host = "127.0.0.1"
port = {port}
accept_unknown_peers = true
durability = "{durability}"
[database]
url = "sqlite:///{folder}/medaet.db"
[spool]
path = "{folder}/spool"
minimum_free_bytes = 0
"""


def receive(*, quick: bool = False, rounds: int = 3, say: Say) -> Report:
    """Measure how fast a CT study arrives in one association, at every receiver that is installed.

    Where the temporary folder lies (TMPDIR) decides which disk is measured.

    Args:
        quick: A smaller study.
        rounds: How often each receiver gets one.
        say: Told what runs now.

    Raises:
        AnalysisError: a receiver did not start, or did not take everything.
    """
    count = QUICK_INSTANCES if quick else INSTANCES
    sender = shutil.which("storescu", path=DCMTK_PATH)
    with (
        tempfile.TemporaryDirectory(prefix="medaet-bench-") as name,
        contextlib.ExitStack() as stack,
    ):
        root = Path(name)
        studies = []
        for number in range(rounds):
            say(f"writing study {number + 1} of {rounds}")
            shape = (count, SIDE, SIDE)
            studies.append(write_series(root / f"study-{number}", shape=shape, seed=number))
        ways = {}
        for way, command in _commands(root, free_ports(4)).items():
            say(f"starting {way}")
            peer = stack.enter_context(_running(way, command, root))
            ways[way] = _each(studies, partial(_sent, sender, peer))
        told = "storescu" if sender else "pynetdicom's SCU"
        case = f"{count} CT instances of {SIDE} x {SIDE}, {told}, one association"
        return compared("receive", case, ways, rounds, say, amount=("instances_a_second", count))


def _commands(root: Path, ports: Sequence[int]) -> Mapping[str, tuple[int, Sequence[str]]]:
    """Return the port and the command line of each receiver that is installed."""
    python = [sys.executable, "-P", "-m"]
    found: dict[str, tuple[int, Sequence[str]]] = {}
    for way, durability, port in (
        (OURS, "power-loss", ports[0]),
        ("medaet crash", "crash", ports[1]),
    ):
        folder = root / durability
        folder.mkdir()
        migrate.upgrade(f"sqlite:///{folder / 'medaet.db'}")
        path = folder / "medaet.toml"
        path.write_text(
            CONFIGURATION.format(port=port, durability=durability, folder=folder), encoding="utf-8"
        )
        found[way] = port, [*python, "medaet_daemon", "--role", "receive", "--config", str(path)]
    storescp = shutil.which("storescp", path=DCMTK_PATH)
    if storescp:
        (root / "storescp").mkdir()
        command = [storescp, "-aet", "MEDAET", "-od", str(root / "storescp"), str(ports[2])]
        found["storescp"] = ports[2], command
    arguments = ["--ae-title", "MEDAET", "--folder", str(root / "pynetdicom")]
    pacs = [*python, "medaet.testing.pacs", "--port", str(ports[3]), *arguments]
    found["pynetdicom"] = ports[3], pacs
    return found


@contextlib.contextmanager
def _running(way: str, command: tuple[int, Sequence[str]], root: Path) -> Iterator[Peer]:
    """Run a receiver until the block ends."""
    port, words = command
    with (root / f"{way}.log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    peer = Peer(name=as_key(way).replace("_", "-"), ae_title="MEDAET", host="127.0.0.1", port=port)
    try:
        _await(peer, process)
        yield peer
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(peer: Peer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            scu.echo(peer, "BENCH")
        except MedaetError:
            time.sleep(POLL_SECONDS)
        else:
            return
    raise AnalysisError(f"{peer.name} does not answer on port {peer.port} of 127.0.0.1")


def _each(
    studies: Sequence[Sequence[Path]], send: Callable[[Sequence[Path]], None]
) -> Callable[[], None]:
    """Return what sends another study each time: the same one again would be recognised."""
    left = iter(studies)
    return lambda: send(next(left))


def _sent(sender: str | None, peer: Peer, paths: Sequence[Path]) -> None:
    """Send a study as a scanner does: by storescu as it is shipped, or by pynetdicom."""
    if sender is None:
        failed = [one.error for one in scu.send(peer, "BENCH", paths) if one.error]
        if failed:
            raise AnalysisError(f"{peer.name} did not take everything: {failed[0]}")
        return
    command = [sender, "-aec", peer.ae_title, peer.host, str(peer.port), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=SENDING_SECONDS)
    if done.returncode:
        raise AnalysisError(
            f"{peer.name} did not take everything: storescu ended with {done.returncode}"
        )
